package evenkeel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

import org.apache.cassandra.db.DecoratedKey;
import org.apache.cassandra.db.RegularAndStaticColumns;
import org.apache.cassandra.db.marshal.UTF8Type;
import org.apache.cassandra.schema.Schema;
import org.apache.cassandra.schema.TableMetadata;

/**
 * The pairs whose files lie in a folder, as `KEYSPACE.TABLE.json`, made ready for use.
 *
 * A file is looked at for every write (its stat, about two microseconds) and read again when it is another one; the
 * mapping is made again when either table is altered. So a change is in force from the next write on.
 */
final class Pairs
{
    private record File(Object key, long modified, long size)
    {
        static File of(BasicFileAttributes attributes)
        {
            long modified = attributes.lastModifiedTime().to(TimeUnit.NANOSECONDS);
            return new File(attributes.fileKey(), modified, attributes.size());
        }
    }

    private record Ready(File file, RegularAndStaticColumns columns, TableMetadata twin, Pair pair,
                         Mapping mapping)
    {
    }

    private final Path folder;
    private final Map<String, Ready> ready = new ConcurrentHashMap<>();

    Pairs(Path folder)
    {
        this.folder = folder;
    }

    /**
     * The mapping for a write to a table; a MirrorException says what is wrong with it.
     *
     * A write to a probe's table whose key is the name of another ("keyspace.table") is let through only if that one's
     * mapping is in order too: so mappings are tried on every node before any user's write meets them.
     */
    Mapping mapping(TableMetadata source, DecoratedKey key)
    {
        Ready found = find(source);
        if (found.pair.check())
        {
            String other = UTF8Type.instance.compose(key.getKey());
            int dot = other.indexOf('.');
            if (dot > 0)
                find(table(other.substring(0, dot), other.substring(dot + 1), source.name));
        }
        return found.mapping;
    }

    private Ready find(TableMetadata source)
    {
        String name = source.keyspace + "." + source.name;
        Ready known = ready.get(name);
        File file = stat(name);
        if (known != null && known.file.equals(file) && known.columns.equals(source.regularAndStaticColumns())
            && known.twin == Schema.instance.getTableMetadata(source.keyspace, known.twin.name))
            return known;
        Pair pair = read(name);
        if (!pair.keyspace().equals(source.keyspace) || !pair.table().equals(source.name))
            throw new MirrorException("the mapping of " + name + " is that of another table on this node");
        TableMetadata twin = table(source.keyspace, pair.twin(), name);
        // The stat is from before the reading: if the file was replaced in between, the next write reads it again.
        Ready made = new Ready(file, source.regularAndStaticColumns(), twin, pair, Mapping.of(pair, source, twin));
        ready.put(name, made);
        return made;
    }

    private File stat(String name)
    {
        try
        {
            return File.of(Files.readAttributes(path(name), BasicFileAttributes.class));
        }
        catch (NoSuchFileException error)
        {
            throw new MirrorException("there is no mapping of " + name + " on this node");
        }
        catch (IOException error)
        {
            throw new MirrorException("the mapping of " + name + " cannot be looked at on this node: " + error);
        }
    }

    private Pair read(String name)
    {
        try
        {
            return Pair.read(Files.readAllBytes(path(name)), name);
        }
        catch (IOException error)
        {
            throw new MirrorException("the mapping of " + name + " cannot be read on this node: " + error);
        }
    }

    private Path path(String name)
    {
        return folder.resolve(name + ".json");
    }

    private static TableMetadata table(String keyspace, String table, String name)
    {
        TableMetadata found = Schema.instance.getTableMetadata(keyspace, table);
        if (found == null)
            throw new MirrorException(
                "there is no table " + keyspace + "." + table + ", which the mapping of " + name + " names");
        return found;
    }
}
