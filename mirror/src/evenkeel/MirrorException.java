package evenkeel;

import org.apache.cassandra.exceptions.CassandraException;
import org.apache.cassandra.exceptions.ExceptionCode;

/** A write that cannot be mirrored, and so is not done; its sentence reaches the client and the program that probes. */
public final class MirrorException extends CassandraException
{
    private static final long serialVersionUID = 1L;

    MirrorException(String sentence)
    {
        super(ExceptionCode.SERVER_ERROR, "evenkeel.Mirror: " + sentence);
    }
}
