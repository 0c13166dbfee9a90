package evenkeel.mutants;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import evenkeel.Mirror;
import org.apache.cassandra.db.ConsistencyLevel;
import org.apache.cassandra.db.Mutation;
import org.apache.cassandra.db.partitions.Partition;
import org.apache.cassandra.service.StorageProxy;
import org.apache.cassandra.transport.Dispatcher;
import org.apache.cassandra.triggers.ITrigger;

/** A broken mirror: a write is acknowledged when one table has it; its twin is sent a little later, from memory. */
public final class OneTable implements ITrigger
{
    private static final long LATER_SECONDS = 4;

    private final Mirror mirror = new Mirror();
    private final ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();

    @Override
    public Collection<Mutation> augment(Partition update)
    {
        List<Mutation> twins = new ArrayList<>(mirror.augment(update));
        later.schedule(() -> StorageProxy.mutate(twins, ConsistencyLevel.QUORUM, Dispatcher.RequestTime.forImmediateExecution()),
                       LATER_SECONDS, TimeUnit.SECONDS);
        return List.of();
    }
}
