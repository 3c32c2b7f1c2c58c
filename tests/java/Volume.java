import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/** An array being filled, x first, x fastest, little-endian: NumPy's C order with axes reversed. */
final class Volume {
    final long[] dims;
    final String type;
    final int item;
    final byte[] data;
    final AtomicInteger missing = new AtomicInteger(); // blocks that were not there

    Volume(long[] dims, String type) {
        this.dims = dims;
        this.type = type;
        this.item = itemSize(type);
        this.data = new byte[Math.toIntExact(count(dims) * item)];
    }

    static int itemSize(String type) {
        switch (type) {
            case "uint8": case "int8": return 1;
            case "uint16": case "int16": return 2;
            case "uint32": case "int32": case "float32": return 4;
            case "uint64": case "int64": case "float64": return 8;
            default: throw new IllegalArgumentException("no Java reader knows " + type);
        }
    }

    static long count(long[] dims) {
        long n = 1;
        for (long d : dims) {
            n *= d;
        }
        return n;
    }

    /** How many blocks there are along each axis. */
    static long[] grid(long[] dims, int[] block) {
        long[] out = new long[dims.length];
        for (int i = 0; i < dims.length; i++) {
            out[i] = (dims[i] + block[i] - 1) / block[i];
        }
        return out;
    }

    /** The position in a grid of the n-th block, x fastest. */
    static long[] position(long[] grid, long n) {
        long[] at = new long[grid.length];
        for (int i = 0; i < grid.length; i++) {
            at[i] = n % grid[i];
            n /= grid[i];
        }
        return at;
    }

    /** Turns big-endian items round, in place. */
    static byte[] swap(byte[] data, int item) {
        for (int at = 0; item > 1 && at < data.length; at += item) {
            for (int i = 0, j = item - 1; i < j; i++, j--) {
                byte b = data[at + i];
                data[at + i] = data[at + j];
                data[at + j] = b;
            }
        }
        return data;
    }

    /** Writes a little-endian block of the given size at a place; what stands over is left out. */
    void put(byte[] block, int[] size, long[] min) {
        int n = dims.length;
        long[] take = new long[n];
        for (int i = 0; i < n; i++) {
            take[i] = Math.min(size[i], dims[i] - min[i]);
            if (take[i] <= 0) {
                return;
            }
        }
        int run = (int) take[0] * item;
        long[] at = new long[n];
        while (true) {
            long from = 0, to = 0;
            for (int i = n - 1; i >= 0; i--) {
                from = from * size[i] + at[i];
                to = to * dims[i] + min[i] + at[i];
            }
            System.arraycopy(block, (int) (from * item), data, (int) (to * item), run);
            int axis = 1;
            while (axis < n && ++at[axis] == take[axis]) {
                at[axis++] = 0;
            }
            if (axis >= n) {
                return;
            }
        }
    }

    void write(Path file) throws IOException {
        Files.write(file, data);
    }

    /** The other way round: C order to x first. */
    static long[] reversed(long[] dims) {
        long[] out = new long[dims.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = dims[out.length - 1 - i];
        }
        return out;
    }
}
