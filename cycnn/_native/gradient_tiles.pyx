"""The register tiles of kernel gradients: sums over pixels of products, rows x vectors of them in registers.

    sums[r][i] += sum over pixels p of a[p][r] b[p][i]

a is read number by number and b as vectors; both stay where they are in memory. While the pixels of one block go by,
one line of the cache of the next block is fetched for each, so that memory is read all the time and waited for rarely.
"""

from .gradient_tiles cimport Product, Stream, last_vectors
from .simd cimport TILE_ROWS, VL, vf, vf_add, vf_load, vf_load_first, vf_store, vf_zero
from .tiles cimport add_tap, ceil_div, fill_tile, load_tile, store_tile, sums_t

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PREFETCH(p) __builtin_prefetch(p)
    #else
    #define PREFETCH(p) ((void)(p))
    #endif
    """
    void prefetch "PREFETCH"(const char* p) noexcept nogil

cdef enum:
    WIDE_ROWS = (2 * TILE_ROWS + 2) // 3  # rows of a tile of three vectors: 8 of 32 registers, 4 of 16


cdef inline void gradient_tile(
    Py_ssize_t rows, const Py_ssize_t vectors, const Product* product, const float* a, const float* b,
    const char* ahead, Py_ssize_t ahead_step, float* sums, Py_ssize_t last, const bint packs, float* panel,
) noexcept nogil:
    """sums[r][v] += sum over pixels p of a[p][r] b[p][v]; the last vector of sums has `last` numbers.

    If it `packs`, two vectors of b are also written to a panel.
    """
    cdef:
        sums_t acc
        vf zeros[3]
        vf pair[2]
        const float* a_place
        const float* b_place
        Py_ssize_t v, n, row, numbers = (vectors - 1) * VL + last
    rows = min(rows, <Py_ssize_t> (WIDE_ROWS if vectors == 3 else TILE_ROWS))  # the compiler knows it then
    if product.fresh:
        for v in range(vectors):
            zeros[v] = vf_zero()
        fill_tile(rows, vectors, acc, zeros)
    else:
        load_tile(rows, vectors, acc, sums, product.sums_row, numbers)
    for n in range(product.images):
        for row in range(product.rows):
            a_place = a + n * product.a_image + row * product.a_row
            b_place = b + n * product.b_image + row * product.b_row
            for _ in range(product.columns):
                prefetch(ahead)
                ahead += ahead_step
                add_tap(rows, vectors, acc, a_place, 1, b_place)
                if packs:
                    pair[0], pair[1] = vf_load(b_place), vf_load(b_place + VL)
                    vf_store(panel, pair[0])
                    vf_store(panel + VL, pair[1])
                    panel += 2 * VL
                a_place += product.a_column
                b_place += product.b_column
    store_tile(rows, vectors, acc, sums, product.sums_row, numbers)


cdef inline void add_rows(
    const Py_ssize_t vectors, Py_ssize_t rows, const Product* product, const float* a, const float* b,
    const char* ahead, Py_ssize_t step, float* sums, Py_ssize_t last,
) noexcept nogil:
    """Call the tile of `rows` rows with a constant in their place."""
    if rows == 1:
        gradient_tile(1, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 2:
        gradient_tile(2, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 3:
        gradient_tile(3, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 4:
        gradient_tile(4, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 5 <= TILE_ROWS:
        gradient_tile(5, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 6 <= TILE_ROWS:
        gradient_tile(6, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 7 <= TILE_ROWS:
        gradient_tile(7, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 8 <= TILE_ROWS:
        gradient_tile(8, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 9 <= TILE_ROWS and vectors < 3:
        gradient_tile(9, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 10 <= TILE_ROWS and vectors < 3:
        gradient_tile(10, vectors, product, a, b, ahead, step, sums, last, False, NULL)
    elif rows == 11 <= TILE_ROWS and vectors < 3:
        gradient_tile(11, vectors, product, a, b, ahead, step, sums, last, False, NULL)


cdef inline const char* next_line(Product* product, const float* a, Py_ssize_t* step) noexcept nogil:
    """Return where the lines begin that a tile is to fetch, and how far apart they are."""
    cdef Stream* stream = &product.ahead[0] if product.ahead[0].calls > 0 else &product.ahead[1]
    step[0] = 0
    if stream.calls == 0:
        return <const char*> a
    step[0] = stream.step
    stream.calls -= 1
    stream.start += stream.advance
    return stream.start - stream.advance


cdef void add_tile(
    Py_ssize_t vectors, Py_ssize_t rows, Product* product, const float* a, const float* b, float* sums, Py_ssize_t last,
) noexcept nogil:
    """Call the tile of so many vectors and rows, and let it fetch what comes next."""
    cdef Py_ssize_t step
    cdef const char* ahead = next_line(product, a, &step)
    if vectors == 3:
        add_rows(3, rows, product, a, b, ahead, step, sums, last)
    elif vectors == 2:
        add_rows(2, rows, product, a, b, ahead, step, sums, last)
    else:
        add_rows(1, rows, product, a, b, ahead, step, sums, last)


cdef void add_panels(
    Py_ssize_t vectors, Py_ssize_t rows, Py_ssize_t numbers, Product* product, const float* a, const float* b,
    float* sums,
) noexcept nogil:
    """Add a product of rows x numbers by tiles of so many vectors, the last of which may be shorter."""
    cdef:
        Py_ssize_t tiles = ceil_div(rows, WIDE_ROWS if vectors == 3 else TILE_ROWS)
        Py_ssize_t width = vectors * VL, t, first, c
    for t in range(tiles):
        first = rows * t // tiles
        for c in range(ceil_div(numbers, width)):
            add_tile(
                vectors, rows * (t + 1) // tiles - first, product, a + first, b + c * width,
                sums + first * product.sums_row + c * width, min(width, numbers - c * width) - (vectors - 1) * VL)


cdef void add_product(
    Py_ssize_t rows, Py_ssize_t numbers, Product* product, const float* a, const float* b, float* sums,
) noexcept nogil:
    """sums[r][i] += sum over pixels p of a[p][r] b[p][i]."""
    cdef Py_ssize_t vectors, paired = 0
    if numbers > 0:
        vectors = last_vectors(numbers)
        paired = numbers if vectors == 2 else (ceil_div(numbers, VL) - vectors) * VL
        add_panels(2, rows, paired, product, a, b, sums)
    if numbers > paired:
        add_panels(vectors, rows, numbers - paired, product, a, b + paired, sums + paired)


cdef void exchange(Product* product) noexcept nogil:
    """Let the steps of a be those of b, and the other way round."""
    product.a_image, product.b_image = product.b_image, product.a_image
    product.a_row, product.b_row = product.b_row, product.a_row
    product.a_column, product.b_column = product.b_column, product.a_column


cdef void copy_numbers(
    const float* b, Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t numbers, float* panel
) noexcept nogil:
    """Copy some numbers of each pixel, and zeros behind them where they do not fill whole vectors."""
    cdef Py_ssize_t vectors = ceil_div(numbers, VL), last = numbers - (vectors - 1) * VL, v
    for _ in range(pixels):
        for v in range(vectors - 1):
            vf_store(panel + v * VL, vf_load(b + v * VL))
        vf_store(panel + (vectors - 1) * VL, vf_load_first(b + (vectors - 1) * VL, last))
        panel += vectors * VL
        b += pixel


cdef Py_ssize_t pack_panel(
    Product* product, Py_ssize_t rows, Py_ssize_t numbers, const float* a, const float* b, float* panel, float* sums
) noexcept nogil:
    """Copy some numbers of each pixel of b to a panel, in whole vectors, which the product's b is from now on.

    Two vectors are copied by a tile that reads them anyway, so that memory is waited for less. Return for how many rows
    of a the product is added already.
    """
    cdef Py_ssize_t done = 0, step
    cdef const char* ahead
    if numbers == 2 * VL and rows >= TILE_ROWS:
        done, ahead = TILE_ROWS, next_line(product, a, &step)
        gradient_tile(TILE_ROWS, 2, product, a, b, ahead, step, sums, VL, True, panel)
    else:
        copy_numbers(b, product.b_column, product.images * product.rows * product.columns, numbers, panel)
    product.b_column = ceil_div(numbers, VL) * VL
    product.b_row = product.columns * product.b_column
    product.b_image = product.rows * product.b_row
    return done


cdef void add_pixels(
    const float* b, Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t numbers, bint fresh, float* sums
) noexcept nogil:
    """sums[i] += sum over pixels p of b[p][i], every fourth pixel by itself; sums has whole vectors."""
    cdef:
        Py_ssize_t last, c, q
        const float* place
        vf four[4]
    for c in range(0, ceil_div(numbers, VL)):
        place, last = b + c * VL, min(numbers - c * VL, <Py_ssize_t> VL)
        for q in range(4):
            four[q] = vf_zero()
        for _ in range(pixels // 4):
            if last == VL:
                for q in range(4):
                    four[q] = vf_add(four[q], vf_load(place + q * pixel))
            else:
                for q in range(4):
                    four[q] = vf_add(four[q], vf_load_first(place + q * pixel, last))
            place += 4 * pixel
        for _ in range(pixels % 4):
            four[0] = vf_add(four[0], vf_load_first(place, last))
            place += pixel
        four[0] = vf_add(vf_add(four[0], four[1]), vf_add(four[2], four[3]))
        vf_store(sums + c * VL, four[0] if fresh else vf_add(vf_load(sums + c * VL), four[0]))
