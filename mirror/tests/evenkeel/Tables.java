package evenkeel;

import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

import org.apache.cassandra.config.Config;
import org.apache.cassandra.config.DataStorageSpec;
import org.apache.cassandra.config.DatabaseDescriptor;
import org.apache.cassandra.cql3.QueryOptions;
import org.apache.cassandra.cql3.QueryProcessor;
import org.apache.cassandra.cql3.statements.ModificationStatement;
import org.apache.cassandra.cql3.statements.schema.CreateTableStatement;
import org.apache.cassandra.cql3.statements.schema.CreateTypeStatement;
import org.apache.cassandra.db.IMutation;
import org.apache.cassandra.db.partitions.PartitionUpdate;
import org.apache.cassandra.dht.Murmur3Partitioner;
import org.apache.cassandra.schema.KeyspaceMetadata;
import org.apache.cassandra.schema.KeyspaceParams;
import org.apache.cassandra.schema.Schema;
import org.apache.cassandra.schema.SchemaTransformations;
import org.apache.cassandra.schema.TableMetadata;
import org.apache.cassandra.schema.Types;
import org.apache.cassandra.service.ClientState;
import org.apache.cassandra.transport.Dispatcher;

/** Tables of Cassandra's own, in memory, and what its own CQL does to them: no node runs. */
final class Tables
{
    static final String KEYSPACE = "shop";
    static final long NOW = 1_800_000_000L;

    private static Types types = Types.none();

    private Tables()
    {
    }

    static void begin()
    {
        DatabaseDescriptor.clientInitialization(false, () -> {
            Config config = new Config();
            config.partitioner = Murmur3Partitioner.class.getSimpleName();
            config.max_mutation_size = new DataStorageSpec.IntKibibytesBound("16MiB");
            return config;
        });
        DatabaseDescriptor.setPartitionerUnsafe(Murmur3Partitioner.instance);
        Schema.instance.transform(SchemaTransformations.addKeyspace(
            KeyspaceMetadata.create(KEYSPACE, KeyspaceParams.simple(1)), true));
    }

    static void type(String cql)
    {
        CreateTypeStatement.Raw raw = QueryProcessor.parseStatement(cql, CreateTypeStatement.Raw.class, "CREATE TYPE");
        Types.RawBuilder builder = Types.rawBuilder(KEYSPACE);
        raw.addToRawBuilder(builder);
        types = builder.build();
        Schema.instance.transform(SchemaTransformations.addTypes(types, true));
    }

    /** Create a table, or put it in the place of the one of this name: what ALTER does to the schema. */
    static TableMetadata table(String cql)
    {
        CreateTableStatement.Raw raw = QueryProcessor.parseStatement(cql, CreateTableStatement.Raw.class,
            "CREATE TABLE");
        raw.keyspace(KEYSPACE);
        TableMetadata made = raw.prepare(ClientState.forInternalCalls(KEYSPACE)).builder(types)
                                .partitioner(Murmur3Partitioner.instance).build();
        Schema.instance.transform(schema -> {
            KeyspaceMetadata keyspace = schema.getNullable(KEYSPACE);
            boolean known = keyspace.getTableNullable(made.name) != null;
            return schema.withAddedOrUpdated(
                keyspace.withSwapped((known ? keyspace.tables.without(made.name) : keyspace.tables).with(made)));
        });
        return made;
    }

    /** What Cassandra itself makes of a statement, at a write time and with NOW as its clock. */
    static PartitionUpdate update(String cql, long timestamp)
    {
        ClientState state = ClientState.forInternalCalls(KEYSPACE);
        ModificationStatement statement = (ModificationStatement) QueryProcessor.parseStatement(cql, state);
        try
        {
            Method method = ModificationStatement.class.getDeclaredMethod(
                "getMutations", ClientState.class, QueryOptions.class, boolean.class, long.class, long.class,
                Dispatcher.RequestTime.class);
            method.setAccessible(true);
            QueryOptions options = QueryOptions.forInternalCalls(new ArrayList<ByteBuffer>());
            List<?> mutations = (List<?>) method.invoke(statement, state, options, true, timestamp, NOW,
                                                        Dispatcher.RequestTime.forImmediateExecution());
            return ((IMutation) mutations.get(0)).getPartitionUpdates().iterator().next();
        }
        catch (ReflectiveOperationException error)
        {
            throw new AssertionError(cql, error);
        }
    }
}
