package evenkeel;

import java.nio.file.Path;
import java.util.Collection;
import java.util.List;

import org.apache.cassandra.db.Mutation;
import org.apache.cassandra.db.partitions.Partition;
import org.apache.cassandra.db.partitions.PartitionUpdate;
import org.apache.cassandra.triggers.ITrigger;

/**
 * Keeps two tables equal: adds to every mutation of the one its twin for the other.
 *
 * Cassandra applies both in one logged batch, or neither. It runs on the node that coordinates the write, once for
 * each partition that the write touches; what it adds does not run it again. Whatever stops it from making the twin
 * fails the write: a write that only one of the tables has seen is what it exists to prevent.
 */
public final class Mirror implements ITrigger
{
    private static final String TRIGGERS = System.getProperty("cassandra.triggers_dir", "/etc/cassandra/triggers");

    private final Pairs pairs;

    /** As Cassandra makes it: the pairs' files lie in `mirror`, beside the folder of triggers. */
    public Mirror()
    {
        this(Path.of(TRIGGERS).resolveSibling("mirror"));
    }

    /** With the pairs' files in another folder. */
    public Mirror(Path folder)
    {
        pairs = new Pairs(folder);
    }

    @Override
    public Collection<Mutation> augment(Partition update)
    {
        Mapping mapping = pairs.mapping(update.metadata(), update.partitionKey());
        PartitionUpdate twin = mapping.twinOf((PartitionUpdate) update);
        return twin.isEmpty() ? List.of() : List.of(new Mutation(twin));
    }
}
