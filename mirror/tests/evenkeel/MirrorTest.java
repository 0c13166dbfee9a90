package evenkeel;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

import org.apache.cassandra.db.Mutation;
import org.apache.cassandra.db.partitions.PartitionUpdate;
import org.apache.cassandra.schema.TableMetadata;
import org.apache.cassandra.schema.TriggerMetadata;
import org.apache.cassandra.schema.Triggers;

/**
 * What the mirror makes of a write is what the same write to the other table would have been.
 *
 * Both sides of each test are Cassandra's own: CQL becomes its updates, and those are compared. `java
 * evenkeel.MirrorTest` runs every method called `test…` and says which failed; no library is needed for that.
 */
public final class MirrorTest
{
    private static final long TIME = 1_700_000_000_000_000L;

    private static final String OLD = "CREATE TABLE item (shop text, id int, shelf text static, name text, "
        + "description text,"
        + " quantity int, price float, code ascii, made timeuuid, tags set<text>, prices map<text, int>, log "
            + "list<text>,"
        + " size measure, box frozen<measure>, colours frozen<list<text>>, gone text, PRIMARY KEY (shop, id))";
    private static final String NEW = "CREATE TABLE item_r7 (shop text, id int, shelf text static, name text, "
        + "summary text,"
        + " quantity bigint, price double, code text, made uuid, labels set<text>, prices map<text, int>, log "
            + "list<text>,"
        + " size measure, box frozen<measure>, colours frozen<list<text>>, category text, stock smallint, note text,"
        + " PRIMARY KEY (shop, id))";
    private static final String SAME = """
        {"from": "shelf", "to": "shelf", "type": "text", "twin_type": "text"},
        {"from": "name", "to": "name", "type": "text", "twin_type": "text"},
        {"from": "prices", "to": "prices", "type": "map<text,int>", "twin_type": "map<text, int>"},
        {"from": "log", "to": "log", "type": "list<text>", "twin_type": "list<text>"},
        {"from": "size", "to": "size", "type": "measure", "twin_type": "measure"},
        {"from": "box", "to": "box", "type": "frozen<measure>", "twin_type": "frozen<measure>"},
        {"from": "colours", "to": "colours", "type": "frozen<list<text>>", "twin_type": "frozen<list<text>>"},""";
    private static final String FORWARD = """
        {"keyspace": "shop", "table": "item", "twin": "item_r7", "columns": [""" + SAME + """
        {"from": "description", "to": "summary", "type": "text", "twin_type": "varchar"},
        {"from": "tags", "to": "labels", "type": "set<text>", "twin_type": "set<text>"},
        {"from": "quantity", "to": "quantity", "type": "int", "twin_type": "bigint"},
        {"from": "price", "to": "price", "type": "float", "twin_type": "double"},
        {"from": "code", "to": "code", "type": "ascii", "twin_type": "text"},
        {"from": "made", "to": "made", "type": "timeuuid", "twin_type": "uuid"}],
        "defaults": [{"column": "category", "type": "text", "value": "general"},
                     {"column": "stock", "type": "smallint", "value": -7},
                     {"column": "note", "type": "text", "value": null}],
        "dropped": ["gone"]}""";
    private static final String BACK = """
        {"keyspace": "shop", "table": "item_r7", "twin": "item", "columns": [""" + SAME + """
        {"from": "summary", "to": "description", "type": "text", "twin_type": "text"},
        {"from": "labels", "to": "tags", "type": "set<text>", "twin_type": "set<text>"},
        {"from": "quantity", "to": "quantity", "type": "bigint", "twin_type": "int"},
        {"from": "price", "to": "price", "type": "double", "twin_type": "float"},
        {"from": "code", "to": "code", "type": "text", "twin_type": "ascii"},
        {"from": "made", "to": "made", "type": "uuid", "twin_type": "timeuuid"}],
        "defaults": [{"column": "gone", "type": "text", "value": null}],
        "dropped": ["category", "stock", "note"]}""";

    private final Path folder;
    private Mirror mirror;

    private MirrorTest(Path folder)
    {
        this.folder = folder;
    }

    private void begin() throws IOException
    {
        Tables.table(OLD);
        Tables.table(NEW);
        write("item", FORWARD);
        write("item_r7", BACK);
        mirror = new Mirror(folder);
    }

    // --- A column that lives on ------------------------------------------------------------------------------------

    void testAnUpdateGoesToTheColumnsOfOtherNamesAndTypesWithItsTime()
    {
        same("UPDATE item SET name = 'a', description = 'b', quantity = -3, price = 1.5 WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET name = 'a', summary = 'b', quantity = -3, price = 1.5 WHERE shop = 's' AND id = 1");
    }

    void testAnUpdateComesBackFromTheNewTable()
    {
        same("UPDATE item_r7 SET summary = 'b', quantity = 2147483647, price = -0.5, code = 'x' WHERE shop = "
            + "'s' AND id = 1",
             "UPDATE item SET description = 'b', quantity = 2147483647, price = -0.5, code = 'x' WHERE shop = "
                 + "'s' AND id = 1");
    }

    void testATimeToLiveEndsAtTheSameMoment()
    {
        same("UPDATE item USING TTL 60 SET description = 'b', quantity = 1, tags = tags + {'t'} WHERE shop = "
            + "'s' AND id = 1",
             "UPDATE item_r7 USING TTL 60 SET summary = 'b', quantity = 1, labels = labels + {'t'} WHERE shop = "
                 + "'s' AND id = 1");
    }

    void testAWriteTimeOfTheClientsIsKept()
    {
        same("UPDATE item USING TIMESTAMP 12345 SET description = 'b' WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 USING TIMESTAMP 12345 SET summary = 'b' WHERE shop = 's' AND id = 1");
    }

    void testAnInsertBringsItsRowMarkerBack()
    {
        same("INSERT INTO item_r7 (shop, id, summary) VALUES ('s', 1, 'b')",
             "INSERT INTO item (shop, id, description) VALUES ('s', 1, 'b')");
        same("INSERT INTO item_r7 (shop, id) VALUES ('s', 1) USING TTL 9",
            "INSERT INTO item (shop, id) VALUES ('s', 1) USING TTL 9");
    }

    void testAStaticColumnIsTheOtherPartitions()
    {
        same("UPDATE item SET shelf = 'x' WHERE shop = 's'", "UPDATE item_r7 SET shelf = 'x' WHERE shop = 's'");
        same("UPDATE item SET shelf = 'x', name = 'n' WHERE shop = 's' AND id = 2",
             "UPDATE item_r7 SET shelf = 'x', name = 'n' WHERE shop = 's' AND id = 2");
        same("DELETE shelf FROM item WHERE shop = 's'", "DELETE shelf FROM item_r7 WHERE shop = 's'");
    }

    // --- Deletions -------------------------------------------------------------------------------------------------

    void testADeletedCellIsDeleted()
    {
        same("DELETE description, quantity FROM item WHERE shop = 's' AND id = 1",
             "DELETE summary, quantity FROM item_r7 WHERE shop = 's' AND id = 1");
        same("UPDATE item SET description = null WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET summary = null WHERE shop = 's' AND id = 1");
    }

    void testADeletedRowARangeAndAPartitionAreDeleted()
    {
        both("DELETE FROM %s WHERE shop = 's' AND id = 1");
        both("DELETE FROM %s WHERE shop = 's' AND id IN (1, 5, 9)");
        both("DELETE FROM %s WHERE shop = 's' AND id > 1 AND id <= 7");
        both("DELETE FROM %s WHERE shop = 's' AND id >= 3");
        both("DELETE FROM %s WHERE shop = 's'");
        both("DELETE FROM %s USING TIMESTAMP 77 WHERE shop = 's' AND id < 3");
    }

    void testEverythingThatOneBatchDoesToAPartitionCrosses()
    {
        PartitionUpdate source = merged("DELETE FROM item WHERE shop = 's' AND id > 5",
            "DELETE FROM item WHERE shop = 's' AND id = 1",
                                        "UPDATE item SET shelf = 'x', description = 'b' WHERE shop = 's' AND id = 2",
                                        "UPDATE item SET tags = {'a'} WHERE shop = 's' AND id = 3");
        PartitionUpdate twin = merged("DELETE FROM item_r7 WHERE shop = 's' AND id > 5",
            "DELETE FROM item_r7 WHERE shop = 's' AND id = 1",
                                      "UPDATE item_r7 SET shelf = 'x', summary = 'b' WHERE shop = 's' AND id = 2",
                                      "UPDATE item_r7 SET labels = {'a'} WHERE shop = 's' AND id = 3");
        equal(twin, twinOf(source), "a batch");
    }

    // --- Values of several cells -----------------------------------------------------------------------------------

    void testElementsAreAddedAndRemovedOneByOne()
    {
        same("UPDATE item SET tags = tags + {'a', 'b'}, prices['x'] = 3 WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET labels = labels + {'a', 'b'}, prices['x'] = 3 WHERE shop = 's' AND id = 1");
        same("UPDATE item SET tags = tags - {'a'}, prices = prices - {'x'} WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET labels = labels - {'a'}, prices = prices - {'x'} WHERE shop = 's' AND id = 1");
        same("DELETE prices['x'], tags['a'] FROM item WHERE shop = 's' AND id = 1",
             "DELETE prices['x'], labels['a'] FROM item_r7 WHERE shop = 's' AND id = 1");
    }

    void testAWholeAssignmentDeletesWhatWasThereBefore()
    {
        same("UPDATE item SET tags = {'a'}, prices = {'x': 1} WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET labels = {'a'}, prices = {'x': 1} WHERE shop = 's' AND id = 1");
        same("UPDATE item SET tags = {}, prices = null WHERE shop = 's' AND id = 1",
             "UPDATE item_r7 SET labels = {}, prices = null WHERE shop = 's' AND id = 1");
    }

    void testAListsElementsKeepTheirPlaces()
    {
        PartitionUpdate source = update("UPDATE item SET log = log + ['a', 'b'] WHERE shop = 's' AND id = 1");
        String elements = source.iterator().next().toString(source.metadata(), true);
        PartitionUpdate twin = twinOf(source);
        String found = twin.iterator().next().toString(twin.metadata(), true);
        check(elements.equals(found),
            "a list: " + elements + " became " + found); // places are time UUIDs: never the same twice
    }

    void testAFieldOfAUserDefinedTypeAndAFrozenValueCross()
    {
        both("UPDATE %s SET size.width = 3 WHERE shop = 's' AND id = 1");
        both("UPDATE %s SET size = {width: 1, unit: 'm'}, box = {width: 2, unit: 'm'}, colours = ['r', 'g'] "
            + "WHERE shop = 's' AND id = 1");
        both("DELETE size.unit, box FROM %s WHERE shop = 's' AND id = 1");
    }

    // --- Columns that only one table has ---------------------------------------------------------------------------

    void testAnInsertGetsTheDefaultsOlderThanAnyWrite()
    {
        PartitionUpdate expected = merged("INSERT INTO item_r7 (shop, id, name) VALUES ('s', 1, 'a')",
                                          "UPDATE item_r7 USING TIMESTAMP 1 SET category = 'general', stock = "
                                              + "-7 WHERE shop = 's' AND id = 1");
        equal(expected, twinOf(update("INSERT INTO item (shop, id, name) VALUES ('s', 1, 'a')")), "defaults");
    }

    void testADefaultEndsWithItsRow()
    {
        PartitionUpdate expected = merged("INSERT INTO item_r7 (shop, id) VALUES ('s', 1) USING TTL 60",
            "UPDATE item_r7 USING TIMESTAMP 1 AND TTL 60 SET category = 'general', stock = -7 WHERE shop = 's' "
                + "AND id = 1");
        equal(expected, twinOf(update("INSERT INTO item (shop, id) VALUES ('s', 1) USING TTL 60")),
            "expiring defaults");
    }

    void testADroppedColumnStaysBehind()
    {
        check(augment("UPDATE item SET gone = 'g' WHERE shop = 's' AND id = 1").isEmpty(),
            "a dropped column alone makes no twin");
        check(augment("UPDATE item_r7 SET category = 'c' WHERE shop = 's' AND id = 1").isEmpty(),
            "nor does an added one");
        same("UPDATE item SET gone = 'g', name = 'a' WHERE shop = 's' AND id = 1",
            "UPDATE item_r7 SET name = 'a' WHERE shop = 's' AND id = 1");
    }

    // --- Values that do not fit ------------------------------------------------------------------------------------

    void testAValueThatTheOldTypeDoesNotHaveIsNullThere() throws Exception
    {
        for (String value : List.of("quantity = 2147483648", "quantity = -2147483649", "price = 0.1", "code = 'ä'",
                                    "made = 123e4567-e89b-42d3-a456-426614174000"))
        {
            PartitionUpdate twin = twinOf(update("UPDATE item_r7 USING TTL 60 SET " + value + " WHERE shop = "
                + "'s' AND id = 1"));
            var cell = twin.iterator().next().cells().iterator().next();
            check(cell.isTombstone() && cell.timestamp() == TIME, value + " became " + cell);
        }
    }

    void testEveryWideningComesBackAsTheSameValue()
    {
        List<String> whole = List.of("tinyint", "smallint", "int", "bigint", "varint");
        for (int narrow = 0; narrow < whole.size(); narrow++)
            for (int wide = narrow; wide < whole.size(); wide++)
                for (String value : List.of("0", "1", "-1", "127", "-128"))
                    thereAndBack(whole.get(narrow), whole.get(wide), value);
        for (String value : List.of("0", "-0.0", "1.5", "NaN", "-Infinity", "1.1754943508222875E-38"))
            thereAndBack("float", "double", value);
        thereAndBack("ascii", "text", "''");
        thereAndBack("ascii", "text", "'plain'");
        thereAndBack("timeuuid", "uuid", "123e4567-e89b-12d3-a456-426614174000");
        thereAndBack("int", "bigint", "blobAsInt(0x)"); // the empty value, which Cassandra takes for a number too
    }

    // --- What is wrong with a node or a mapping --------------------------------------------------------------------

    void testWithoutItsFileAWriteFails() throws IOException
    {
        Files.delete(folder.resolve("shop.item.json"));
        fails("there is no mapping of shop.item on this node");
    }

    void testABrokenMappingFailsTheWriteAndSaysWhatIsWrong() throws IOException
    {
        for (List<String> each : List.of(
            List.of(FORWARD.substring(0, 90), "is not JSON"),
            List.of(FORWARD.replace("\"table\": \"item\"", "\"table\": \"other\""), "of another table"),
            List.of(FORWARD.replace("item_r7", "item_r8"), "there is no table shop.item_r8"),
            List.of(FORWARD.replace("\"summary\"", "\"resume\""), "item_r7 has no column resume"),
            List.of(FORWARD.replace("\"int\", \"twin_type\": \"bigint\"", "\"int\", \"twin_type\": \"int\""),
                "item_r7.quantity is bigint, not int"),
            List.of(FORWARD.replace("\"gone\"", ""), "does not say what becomes of gone"),
            List.of(FORWARD.replace("\"to\": \"name\"", "\"to\": \"shelf\""),
                "a cell of name cannot become one of shelf"),
            List.of(FORWARD.replace("-7", "\"many\""), "the default of stock is no smallint"),
            List.of(FORWARD.replace("\"twin\"", "\"other\""), "lacks the text \"twin\"")))
        {
            write("item", each.get(0));
            fails(each.get(1));
        }
        write("item", FORWARD);
        twinOf(update("UPDATE item SET name = 'a' WHERE shop = 's' AND id = 1"));
    }

    void testKeysOfOtherTypesOrOrderAreRefused()
    {
        Tables.table(NEW.replace("id int", "id bigint"));
        fails("their keys differ");
        Tables.table(NEW + " WITH CLUSTERING ORDER BY (id DESC)");
        fails("their keys differ");
    }

    void testAChangedMappingIsInForceFromTheNextWriteOn() throws IOException
    {
        twinOf(update("UPDATE item SET name = 'a' WHERE shop = 's' AND id = 1"));
        write("item", FORWARD.replace("\"to\": \"summary\"",
            "\"to\": \"note\"").replace("\"note\", \"type\": \"text\", \"value\": null",
                                                                                    "\"summary\", \"type\": "
                                                                                        + "\"text\", \"value\": null"));
        same("UPDATE item SET description = 'b' WHERE shop = 's' AND id = 1",
            "UPDATE item_r7 SET note = 'b' WHERE shop = 's' AND id = 1");
    }

    void testAnAlteredTableIsNoticed()
    {
        twinOf(update("UPDATE item SET name = 'a' WHERE shop = 's' AND id = 1"));
        Tables.table(OLD.replace("gone text", "gone text, later text"));
        fails("does not say what becomes of later");
        Tables.table(OLD);
        Tables.table(NEW.replace("summary text", "summary blob"));
        fails("item_r7.summary is blob, not varchar");
    }

    void testAProbesPairChecksTheOthers() throws IOException
    {
        Tables.table("CREATE TABLE probe (id text PRIMARY KEY, at bigint)");
        Tables.table("CREATE TABLE probe_twin (id text PRIMARY KEY, at bigint)");
        write("probe", """
            {"keyspace": "shop", "table": "probe", "twin": "probe_twin", "check": true,
             "columns": [{"from": "at", "to": "at", "type": "bigint", "twin_type": "bigint"}]}""");
        String probe = "UPDATE %s SET at = 1 WHERE id = '%s'";
        for (String key : List.of("x", "shop.item", "shop.item_r7"))
            same(probe.formatted("probe", key), probe.formatted("probe_twin", key));
        write("item_r7", BACK.replace("\"twin\": \"item\"", "\"twin\": \"nothing\""));
        fails(probe.formatted("probe", "shop.item_r7"), "there is no table shop.nothing");
        fails(probe.formatted("probe", "shop.elsewhere"), "there is no table shop.elsewhere");
        Files.delete(folder.resolve("shop.item.json"));
        fails(probe.formatted("probe", "shop.item"), "there is no mapping of shop.item");
    }

    // --- What the project builds on --------------------------------------------------------------------------------

    /** Why scripts/tables/mirroring.py alters gc_grace_seconds: earlier prepared statements would not meet a trigger. */
    void testCassandraKeepsPreparedStatementsWhenATriggerComesAndForgetsThemForAnotherGrace() throws Exception
    {
        TableMetadata before = Tables.table(OLD);
        var affects = TableMetadata.class.getDeclaredMethod("changeAffectsPreparedStatements", TableMetadata.class);
        affects.setAccessible(true);
        Triggers triggers = Triggers.of(TriggerMetadata.create("evenkeel_mirror", "evenkeel.Mirror"));
        TableMetadata mirrored = before.unbuild().triggers(triggers).build();
        check(!(boolean) affects.invoke(before, mirrored), "a trigger is enough now");
        int grace = before.params.gcGraceSeconds + 1;
        TableMetadata altered = mirrored.unbuild().gcGraceSeconds(grace).build();
        check((boolean) affects.invoke(mirrored, altered), "another grace is not enough");
    }

    // --- How it is checked -----------------------------------------------------------------------------------------

    private void thereAndBack(String narrow, String wide, String value)
    {
        Tables.table("CREATE TABLE narrow (id int PRIMARY KEY, v " + narrow + ")");
        Tables.table("CREATE TABLE wide (id int PRIMARY KEY, v " + wide + ")");
        String columns = "\"columns\": [{\"from\": \"v\", \"to\": \"v\", \"type\": \"%s\", \"twin_type\": \"%s\"}]}";
        try
        {
            write("narrow",
                "{\"keyspace\": \"shop\", \"table\": \"narrow\", \"twin\": \"wide\", " + columns.formatted(narrow,
                wide));
            write("wide",
                "{\"keyspace\": \"shop\", \"table\": \"wide\", \"twin\": \"narrow\", " + columns.formatted(wide,
                narrow));
        }
        catch (IOException error)
        {
            throw new AssertionError(error);
        }
        PartitionUpdate first = update("UPDATE narrow SET v = " + value + " WHERE id = 1");
        PartitionUpdate twin = twinOf(first);
        if (!value.startsWith("blob"))
            equal(update("UPDATE wide SET v = " + value + " WHERE id = 1"), twin, narrow + " to " + wide);
        equal(first, twinOf(twin), wide + " back to " + narrow);
    }

    private void both(String cql)
    {
        same(cql.formatted("item"), cql.formatted("item_r7"));
        same(cql.formatted("item_r7"), cql.formatted("item"));
    }

    private void same(String cql, String twin)
    {
        equal(update(twin), twinOf(update(cql)), cql);
    }

    private void fails(String sentence)
    {
        fails("UPDATE item SET name = 'a' WHERE shop = 's' AND id = 1", sentence);
    }

    private void fails(String cql, String sentence)
    {
        try
        {
            augment(cql);
        }
        catch (MirrorException error)
        {
            check(error.getMessage().contains(sentence), error.getMessage() + " does not say: " + sentence);
            return;
        }
        throw new AssertionError("the write was let through: " + sentence);
    }

    private Collection<Mutation> augment(String cql)
    {
        return mirror.augment(update(cql));
    }

    private PartitionUpdate twinOf(PartitionUpdate update)
    {
        Collection<Mutation> mutations = mirror.augment(update);
        check(mutations.size() == 1, "one twin, not " + mutations.size());
        return mutations.iterator().next().getPartitionUpdates().iterator().next();
    }

    private static PartitionUpdate update(String cql)
    {
        return Tables.update(cql, TIME);
    }

    private static PartitionUpdate merged(String... statements)
    {
        return PartitionUpdate.merge(Arrays.stream(statements).map(MirrorTest::update).toList());
    }

    private static void equal(PartitionUpdate expected, PartitionUpdate found, String what)
    {
        // Columns that are announced but not there are no difference: an update lists those its statement names.
        PartitionUpdate wanted = expected.withOnlyPresentColumns();
        check(wanted.metadata().id.equals(found.metadata().id) && wanted.equals(found.withOnlyPresentColumns()),
              what + ":\n    " + wanted + "\n    " + found);
        check(PartitionUpdate.fromBytes(PartitionUpdate.toBytes(found, 12), 12).equals(found), what + " travels");
    }

    private static void check(boolean holds, String sentence)
    {
        if (!holds)
            throw new AssertionError(sentence);
    }

    private void write(String table, String content) throws IOException
    {
        Path made = folder.resolve("new");
        Files.writeString(made, content);
        Files.move(made, folder.resolve("shop." + table + ".json"), StandardCopyOption.ATOMIC_MOVE,
            StandardCopyOption.REPLACE_EXISTING);
    }

    public static void main(String[] arguments) throws Exception
    {
        Tables.begin();
        Tables.type("CREATE TYPE measure (width int, unit text)");
        List<String> failed = new ArrayList<>();
        int count = 0;
        for (var method : MirrorTest.class.getDeclaredMethods())
        {
            if (!method.getName().startsWith("test"))
                continue;
            count++;
            MirrorTest test = new MirrorTest(Files.createTempDirectory(Path.of(arguments[0]), "pairs"));
            try
            {
                test.begin();
                method.invoke(test);
            }
            catch (InvocationTargetException error)
            {
                failed.add(method.getName() + ": " + error.getCause());
                if (!(error.getCause() instanceof AssertionError) || error.getCause().getCause() != null)
                    error.getCause().printStackTrace();
            }
        }
        failed.forEach(System.out::println);
        System.out.println(count - failed.size() + " passed, " + failed.size() + " failed");
        System.exit(failed.isEmpty() ? 0 : 1);
    }
}
