package evenkeel;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

import org.apache.cassandra.db.marshal.AbstractType;
import org.apache.cassandra.db.marshal.AsciiType;
import org.apache.cassandra.db.marshal.ByteType;
import org.apache.cassandra.db.marshal.DoubleType;
import org.apache.cassandra.db.marshal.FloatType;
import org.apache.cassandra.db.marshal.Int32Type;
import org.apache.cassandra.db.marshal.IntegerType;
import org.apache.cassandra.db.marshal.LongType;
import org.apache.cassandra.db.marshal.ShortType;
import org.apache.cassandra.db.marshal.TimeUUIDType;
import org.apache.cassandra.db.marshal.UTF8Type;
import org.apache.cassandra.db.marshal.UUIDType;
import org.apache.cassandra.utils.ByteBufferUtil;

/**
 * A value of one type as the same value of another: null where the other type does not have it.
 *
 * Types that are wider one than the other, in both directions; nothing is ever rounded or cut.
 */
@FunctionalInterface
interface Conversion
{
    Conversion SAME = value -> value;

    ByteBuffer apply(ByteBuffer value);

    /** From the narrowest to the widest: how many bytes a value has, 0 for as many as it needs. */
    Map<AbstractType<?>, Integer> WHOLE =
        Map.of(ByteType.instance, 1, ShortType.instance, 2, Int32Type.instance, 4, LongType.instance, 8,
               IntegerType.instance, 0);

    /** The conversion between two types; null where there is none. */
    static Conversion between(AbstractType<?> from, AbstractType<?> to)
    {
        if (from.equals(to))
            return SAME;
        if (from.isMultiCell() || to.isMultiCell())
            return null;
        if (WHOLE.containsKey(from) && WHOLE.containsKey(to))
            return filled(value -> whole(new BigInteger(ByteBufferUtil.getArray(value)), WHOLE.get(to)));
        List<AbstractType<?>> both = List.of(from, to);
        if (both.equals(List.of(FloatType.instance, DoubleType.instance)))
            return filled(value -> ByteBufferUtil.bytes((double) value.getFloat(value.position())));
        if (both.equals(List.of(DoubleType.instance, FloatType.instance)))
            return filled(value -> narrow(value.getDouble(value.position())));
        if (both.equals(List.of(AsciiType.instance, UTF8Type.instance))
            || both.equals(List.of(TimeUUIDType.instance, UUIDType.instance)))
            return SAME;
        if (both.equals(List.of(UTF8Type.instance, AsciiType.instance)))
            return Conversion::ascii;
        if (both.equals(List.of(UUIDType.instance, TimeUUIDType.instance)))
            return filled(Conversion::timeuuid);
        return null;
    }

    /** Leave the empty value as it is: Cassandra takes it for numbers and UUIDs too, and it is empty in every type. */
    private static Conversion filled(Conversion conversion)
    {
        return value -> value.hasRemaining() ? conversion.apply(value) : value;
    }

    private static ByteBuffer whole(BigInteger number, int bytes)
    {
        byte[] shortest = number.toByteArray();
        if (bytes == 0)
            return ByteBuffer.wrap(shortest);
        if (shortest.length > bytes)
            return null;
        ByteBuffer value = ByteBuffer.allocate(bytes);
        for (int missing = bytes - shortest.length; missing > 0; missing--)
            value.put((byte) (number.signum() < 0 ? -1 : 0));
        return value.put(shortest).flip();
    }

    private static ByteBuffer narrow(double number)
    {
        float narrowed = (float) number;
        return Double.compare(narrowed, number) == 0 ? ByteBufferUtil.bytes(narrowed) : null;
    }

    private static ByteBuffer ascii(ByteBuffer value)
    {
        for (int place = value.position(); place < value.limit(); place++)
            if (value.get(place) < 0)
                return null;
        return value;
    }

    private static ByteBuffer timeuuid(ByteBuffer value)
    {
        boolean fits = (value.get(value.position() + 6) & 0xf0) == 0x10; // the version's nibble
        return fits ? value : null;
    }
}
