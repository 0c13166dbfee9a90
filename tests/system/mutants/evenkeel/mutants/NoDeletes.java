package evenkeel.mutants;

import java.util.Collection;
import java.util.List;

import evenkeel.Mirror;
import org.apache.cassandra.db.Mutation;
import org.apache.cassandra.db.partitions.Partition;
import org.apache.cassandra.db.partitions.PartitionUpdate;
import org.apache.cassandra.db.rows.Row;
import org.apache.cassandra.triggers.ITrigger;

/** A broken mirror: what deletes a row, a range or a partition has no twin. */
public final class NoDeletes implements ITrigger
{
    private final Mirror mirror = new Mirror();

    @Override
    public Collection<Mutation> augment(Partition update)
    {
        return deletes((PartitionUpdate) update) ? List.of() : mirror.augment(update);
    }

    private static boolean deletes(PartitionUpdate update)
    {
        if (!update.partitionLevelDeletion().isLive() || update.deletionInfo().hasRanges())
            return true;
        for (Row row : update)
            if (!row.deletion().isLive())
                return true;
        return false;
    }
}
