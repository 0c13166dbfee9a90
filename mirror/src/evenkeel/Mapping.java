package evenkeel;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.cassandra.cql3.QueryOptions;
import org.apache.cassandra.cql3.Term;
import org.apache.cassandra.db.LivenessInfo;
import org.apache.cassandra.db.RangeTombstone;
import org.apache.cassandra.db.RegularAndStaticColumns;
import org.apache.cassandra.db.marshal.AbstractType;
import org.apache.cassandra.db.partitions.PartitionUpdate;
import org.apache.cassandra.db.rows.BTreeRow;
import org.apache.cassandra.db.rows.BufferCell;
import org.apache.cassandra.db.rows.Cell;
import org.apache.cassandra.db.rows.ColumnData;
import org.apache.cassandra.db.rows.ComplexColumnData;
import org.apache.cassandra.db.rows.Row;
import org.apache.cassandra.schema.ColumnMetadata;
import org.apache.cassandra.schema.TableMetadata;
import org.apache.cassandra.utils.FBUtilities;

/**
 * What a partition's update of one table is for its twin.
 *
 * Keys, write times, TTLs, expiry, row markers and every kind of deletion are taken over as they are; each cell comes
 * from one cell. So both tables come to the same rows in whatever order writes reach their replicas.
 */
final class Mapping
{
    /** Older than any client's write time: what the new version writes into the column always wins. */
    static final long DEFAULT_TIMESTAMP = 1;

    private record Target(ColumnMetadata column, Conversion conversion)
    {
    }

    private record Constant(ColumnMetadata column, ByteBuffer value)
    {
    }

    private final TableMetadata twin;
    private final Map<ColumnMetadata, Target> targets;
    private final List<Constant> constants;

    private Mapping(TableMetadata twin, Map<ColumnMetadata, Target> targets, List<Constant> constants)
    {
        this.twin = twin;
        this.targets = targets;
        this.constants = constants;
    }

    /** Check a pair against the two tables; a MirrorException says what does not fit. */
    static Mapping of(Pair pair, TableMetadata source, TableMetadata twin)
    {
        Refusal refuse = sentence -> new MirrorException("the mapping of " + source + " to " + twin + ": " + sentence);
        requireSameKey(source, twin, refuse);
        Map<ColumnMetadata, Target> targets = new HashMap<>();
        Set<String> named = new HashSet<>(pair.dropped());
        for (Pair.Column each : pair.columns())
        {
            ColumnMetadata from = column(source, each.from(), each.type(), refuse);
            ColumnMetadata to = column(twin, each.to(), each.twinType(), refuse);
            Conversion conversion = Conversion.between(from.type, to.type);
            if (conversion == null || from.isStatic() != to.isStatic())
                throw refuse.because("a cell of " + each.from() + " cannot become one of " + each.to());
            targets.put(from, new Target(to, conversion));
            named.add(each.from());
        }
        for (ColumnMetadata each : source.regularAndStaticColumns())
            if (!named.contains(each.name.toString()))
                throw refuse.because("it does not say what becomes of " + each.name);
        return new Mapping(twin, targets, constants(pair, twin, refuse));
    }

    private static List<Constant> constants(Pair pair, TableMetadata twin, Refusal refuse)
    {
        List<Constant> constants = new ArrayList<>();
        for (Pair.Default each : pair.defaults())
        {
            ColumnMetadata column = column(twin, each.column(), each.type(), refuse);
            if (each.value() == null)
                continue;
            if (column.isStatic() || column.isComplex())
                throw refuse.because(each.column() + ", which is not one cell of a row, can have no default");
            try
            {
                Term value = column.type.fromJSONObject(each.value());
                constants.add(new Constant(column, value.bindAndGet(QueryOptions.DEFAULT)));
            }
            catch (RuntimeException error)
            {
                throw refuse.because("the default of " + each.column() + " is no " + each.type());
            }
        }
        return constants;
    }

    private static void requireSameKey(TableMetadata source, TableMetadata twin, Refusal refuse)
    {
        List<ColumnMetadata> here = new ArrayList<>(source.partitionKeyColumns());
        List<ColumnMetadata> there = new ArrayList<>(twin.partitionKeyColumns());
        boolean same = here.size() == there.size();
        here.addAll(source.clusteringColumns());
        there.addAll(twin.clusteringColumns());
        same &= here.size() == there.size();
        for (int place = 0; same && place < here.size(); place++) // the types tell the clustering order, too
            same = here.get(place).name.equals(there.get(place).name)
                && here.get(place).type.equals(there.get(place).type);
        if (!same)
            throw refuse.because("their keys differ");
    }

    private static ColumnMetadata column(TableMetadata table, String name, String type, Refusal refuse)
    {
        ColumnMetadata found = null;
        for (ColumnMetadata each : table.regularAndStaticColumns())
            if (each.name.toString().equals(name))
                found = each;
        if (found == null)
            throw refuse.because(table.name + " has no column " + name + " outside its key");
        if (!plain(type).equals(plain(cql(found.type))))
            throw refuse.because(table.name + "." + name + " is " + cql(found.type) + ", not " + type);
        return found;
    }

    private static String cql(AbstractType<?> type)
    {
        return type.asCQL3Type().toString();
    }

    private static String plain(String type)
    {
        return type.replace(" ", "").replace("varchar", "text");
    }

    /** The twin of an update; an empty one where nothing of it lives on in the other table. */
    PartitionUpdate twinOf(PartitionUpdate update)
    {
        PartitionUpdate.Builder twinUpdate =
            new PartitionUpdate.Builder(twin, update.partitionKey(), columns(update), update.affectedRowCount());
        if (!update.partitionLevelDeletion().isLive())
            twinUpdate.addPartitionDeletion(update.partitionLevelDeletion());
        Iterator<RangeTombstone> ranges = update.deletionInfo().rangeIterator(false);
        while (ranges.hasNext())
            twinUpdate.add(ranges.next());
        add(twinUpdate, update.staticRow());
        for (Row row : update)
            add(twinUpdate, row);
        return twinUpdate.build();
    }

    private RegularAndStaticColumns columns(PartitionUpdate update)
    {
        RegularAndStaticColumns.Builder columns = RegularAndStaticColumns.builder();
        for (ColumnMetadata each : update.columns())
        {
            Target target = targets.get(each);
            if (target != null)
                columns.add(target.column);
        }
        for (Constant each : constants)
            columns.add(each.column);
        return columns.build();
    }

    private void add(PartitionUpdate.Builder twinUpdate, Row row)
    {
        Row.Builder builder = BTreeRow.unsortedBuilder(); // a renamed column has another place
        builder.newRow(row.clustering());
        builder.addPrimaryKeyLivenessInfo(row.primaryKeyLivenessInfo());
        builder.addRowDeletion(row.deletion());
        for (ColumnData data : row)
        {
            Target target = targets.get(data.column());
            if (target == null)
                continue;
            if (data instanceof ComplexColumnData complex)
                addComplex(builder, complex, target.column);
            else
                builder.addCell(convert((Cell<?>) data, target));
        }
        // With the marker, that is with an INSERT: the default then ends when the row does, by its time or by deletion.
        if (!row.primaryKeyLivenessInfo().isEmpty())
            for (Constant each : constants)
                builder.addCell(cell(each, row.primaryKeyLivenessInfo()));
        Row twinRow = builder.build();
        if (!twinRow.isEmpty())
            twinUpdate.add(twinRow);
    }

    private static void addComplex(Row.Builder builder, ComplexColumnData data, ColumnMetadata column)
    {
        if (!data.complexDeletion().isLive())
            builder.addComplexDeletion(column, data.complexDeletion());
        for (Cell<?> cell : data)
            builder.addCell(cell.withUpdatedColumn(column));
    }

    private static Cell<?> convert(Cell<?> cell, Target target)
    {
        if (cell.isTombstone() || target.conversion == Conversion.SAME)
            return cell.withUpdatedColumn(target.column);
        ByteBuffer value = target.conversion.apply(cell.buffer());
        // No value at all is honest where the type does not have this one; the value from before would not be.
        if (value == null)
            return BufferCell.tombstone(target.column, cell.timestamp(), FBUtilities.nowInSeconds());
        return new BufferCell(target.column, cell.timestamp(), cell.ttl(), cell.localDeletionTime(), value, null);
    }

    private static Cell<?> cell(Constant constant, LivenessInfo marker)
    {
        return new BufferCell(constant.column, DEFAULT_TIMESTAMP, marker.ttl(), marker.localExpirationTime(),
                              constant.value, null);
    }

    @FunctionalInterface
    private interface Refusal
    {
        MirrorException because(String sentence);
    }
}
