package evenkeel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.apache.cassandra.utils.JsonUtils;

/**
 * One direction of a mirror as its file has it: which column of a table becomes which column of its twin.
 *
 * `columns` are the ones that both tables have, `defaults` those that only the twin has, `dropped` those that only this
 * table has. `check` is true for the pair of a probe only: there a row's key "keyspace.table" has that pair looked at.
 */
record Pair(String keyspace, String table, String twin, List<Column> columns, List<Default> defaults,
            List<String> dropped, boolean check)
{
    /** A column `from` of this table, `to` in the twin, with the CQL types that they must have. */
    record Column(String from, String to, String type, String twinType)
    {
    }

    /** A column that only the twin has, and what a row has there that is inserted here; null for nothing. */
    record Default(String column, String type, Object value)
    {
    }

    /** Read a pair from the bytes of its file. */
    static Pair read(byte[] content, String name)
    {
        Map<String, Object> document;
        try
        {
            document = JsonUtils.fromJsonMap(content);
        }
        catch (RuntimeException error)
        {
            throw new MirrorException("the mapping of " + name + " is not JSON on this node");
        }
        List<Column> columns = new ArrayList<>();
        for (Map<?, ?> each : maps(document, "columns", name))
            columns.add(new Column(text(each, "from", name), text(each, "to", name),
                                   text(each, "type", name), text(each, "twin_type", name)));
        List<Default> defaults = new ArrayList<>();
        for (Map<?, ?> each : maps(document, "defaults", name))
            defaults.add(new Default(text(each, "column", name), text(each, "type", name), each.get("value")));
        return new Pair(text(document, "keyspace", name), text(document, "table", name), text(document, "twin", name),
                        columns, defaults, texts(document, "dropped", name),
                            Boolean.TRUE.equals(document.get("check")));
    }

    private static String text(Map<?, ?> document, String key, String name)
    {
        if (document.get(key) instanceof String found)
            return found;
        throw new MirrorException("the mapping of " + name + " lacks the text \"" + key + "\" on this node");
    }

    private static List<Map<?, ?>> maps(Map<?, ?> document, String key, String name)
    {
        List<Map<?, ?>> found = new ArrayList<>();
        for (Object each : list(document, key, name))
        {
            if (!(each instanceof Map<?, ?> map))
                throw new MirrorException("the mapping of " + name + " has no objects in \"" + key + "\"");
            found.add(map);
        }
        return found;
    }

    private static List<String> texts(Map<?, ?> document, String key, String name)
    {
        List<String> found = new ArrayList<>();
        for (Object each : list(document, key, name))
            found.add(String.valueOf(each));
        return found;
    }

    private static Collection<?> list(Map<?, ?> document, String key, String name)
    {
        Object found = document.containsKey(key) ? document.get(key) : List.of();
        if (found instanceof Collection<?> collection)
            return collection;
        throw new MirrorException("the mapping of " + name + " has a \"" + key + "\" that is no list");
    }
}
