"""The step on rows of channels, for the families that normalise: how its sums and its maps are divided.

M images x R rows x C channels. Few channels are seen as lines of several rows, `repeats` of them, so that loops over a
line fill vectors; the rows left over join at the end. A sum over rows goes over blocks of lines that stay in the cache,
in real_t, and the blocks of a task into double sums of its own, which are combined in order. Tasks are parts of the
lines and panels of the columns of wide lines: chosen by the shape, never by the number of threads.
"""

from cycnn._native.runtime cimport Buffer, Step

cdef enum:
    BLOCK = 8192   # numbers that stay in the first-level cache: 32 KiB of float32
    LINE = 64      # numbers of a line, at least
    VECTOR = 16    # of which it has a multiple
    WIDEST = 1024  # columns of a line that a task sums at once
    PANEL = 512    # columns that it sums at once of wider lines
    TASKS = 64     # of a sum, about
    FEWEST = 4     # blocks of a part, at least: less would not be worth its sums


cdef class Channels(Step):
    """A step on M images x R rows x C channels: sums over rows in two phases, or a map of all numbers.

    A sum splits (image, part of the lines, panel of columns) in its first phase, each with double sums of its own, and
    (image, some channels) in its second, which combines them.
    """

    cdef divide(self, Buffer x, Py_ssize_t images, Py_ssize_t statistics):
        """Choose lines, panels, blocks and parts from the shape of x.

        `statistics` is how many groups all images have; 0 where each row has its own, and so is a line.
        """
        self.itemsize, self.single = x.itemsize, x.dtype == "float32"
        self.M, self.C = images, x.shape[len(x.shape) - 1]
        self.R, self.G = x.size // max(images * self.C, 1), statistics // max(images, 1)
        self.repeats = 1
        while self.G > 0 and 0 < self.C < LINE and (
            self.repeats * self.C % VECTOR > 0 or self.repeats * self.C < LINE
        ):
            self.repeats += 1
        self.width = max(self.repeats * self.C, 1)
        self.lines, self.rest = self.R // self.repeats, self.R % self.repeats
        self.panel = self.width if self.width <= WIDEST else PANEL
        self.panels = ceil_div(self.width, self.panel)
        self.block = max(1, min(BLOCK // self.panel, BLOCK // LINE))
        self.parts = min(
            ceil_div(self.lines, FEWEST * self.block), ceil_div(TASKS, max(self.M * self.panels, 1))
        )
        self.chunk = max(1, BLOCK // self.width) * self.width
        self.chunks = ceil_div(self.R * self.C, self.chunk)

    cdef Py_ssize_t first_line(self, Py_ssize_t part) noexcept nogil:
        """Return where a part begins: at a whole block."""
        return min(ceil_div(self.lines, self.block) * part // self.parts * self.block, self.lines)

    cdef double* partial(self, Py_ssize_t image, Py_ssize_t part) noexcept nogil:
        """Return the two rows of `width` sums of a part."""
        return <double*> self.work + (image * self.parts + part) * 2 * self.width

    cdef Py_ssize_t chunk_start(self, Py_ssize_t i) noexcept nogil:
        """Return where the i-th chunk of a map begins, in numbers."""
        return i // self.chunks * self.R * self.C + i % self.chunks * self.chunk

    cdef Py_ssize_t chunk_size(self, Py_ssize_t i) noexcept nogil:
        return min(self.chunk, self.R * self.C - i % self.chunks * self.chunk)

    cdef void run_sum(self, double cost) noexcept nogil:
        self.combining = False
        self.split(self.M * self.parts * self.panels, cost)
        self.combining = True
        self.split(self.M * ceil_div(self.C, COLUMNS), 8.0 * self.M * max(self.parts, 1) * self.width)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t per_image = ceil_div(self.C, COLUMNS) if self.combining else self.parts * self.panels, c
        if self.combining:
            c = i % per_image * COLUMNS
            self.combine(i // per_image, c, min(<Py_ssize_t> COLUMNS, self.C - c))
        else:
            c = i % self.panels * self.panel
            self.accumulate(
                i // per_image, i // self.panels % self.parts, c, min(self.panel, self.width - c), scratch
            )

    cdef void accumulate(
        self, Py_ssize_t image, Py_ssize_t part, Py_ssize_t c, Py_ssize_t columns, char* scratch
    ) noexcept nogil:
        pass

    cdef void combine(self, Py_ssize_t image, Py_ssize_t c, Py_ssize_t columns) noexcept nogil:
        pass
