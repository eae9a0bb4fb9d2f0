"""Windows and output sizes: values computed by hand, counting by brute force, and the errors."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cycnn.shapes import Window, check_size, output_size, pool_window, window


def one_axis(size, kernel, stride, dilation, padding):
    """Return (pad before, pad after, outputs) along the height, the width being trivial."""
    win = window("Conv2D", (kernel, 1), (stride, 1), padding, (dilation, 1), (size, 1))
    return win.pad_top, win.pad_bottom, output_size(win, (size, 1))[0]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (5, 3, 1, 1, (1, 1, 5)),
        (5, 2, 1, 1, (0, 1, 5)),  # the odd pixel comes after
        (5, 4, 1, 1, (1, 2, 5)),
        (28, 5, 1, 1, (2, 2, 28)),
        (224, 3, 2, 1, (0, 1, 112)),  # even size, stride 2: unlike PyTorch's padding of 1
        (225, 3, 2, 1, (1, 1, 113)),
        (224, 7, 2, 1, (2, 3, 112)),
        (225, 7, 2, 1, (3, 3, 113)),
        (4, 2, 2, 1, (0, 0, 2)),
        (5, 2, 2, 1, (0, 1, 3)),
        (112, 3, 2, 1, (0, 1, 56)),
        (7, 3, 3, 1, (1, 1, 3)),
        (8, 3, 3, 1, (0, 1, 3)),
        (9, 3, 3, 1, (0, 0, 3)),
        (8, 1, 2, 1, (0, 0, 4)),  # stride above the kernel: nothing to pad, pixels left over
        (9, 2, 4, 1, (0, 1, 3)),
        (12, 2, 4, 1, (0, 0, 3)),
        (10, 3, 1, 2, (2, 2, 10)),
        (10, 2, 1, 3, (1, 2, 10)),
        (10, 3, 2, 2, (1, 2, 5)),
        (1, 3, 1, 1, (1, 1, 1)),
        (2, 7, 1, 1, (3, 3, 2)),  # the kernel is larger than the image
        (1, 1, 5, 1, (0, 0, 1)),
    ],
)
def test_same_padding_equals_keras(size, kernel, stride, dilation, expected):
    assert one_axis(size, kernel, stride, dilation, "same") == expected


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding", "expected"),
    [
        (28, 3, 1, 1, "valid", 26),
        (28, 5, 1, 1, "valid", 24),
        (224, 7, 2, 1, "valid", 109),
        (7, 3, 2, 1, "valid", 3),
        (8, 3, 2, 1, "valid", 3),
        (9, 3, 2, 1, "valid", 4),
        (10, 3, 1, 2, "valid", 6),
        (10, 3, 2, 4, "valid", 1),
        (3, 3, 100, 1, "valid", 1),
        (224, 7, 2, 1, ((3, 3), (0, 0)), 112),  # ResNet's first layer in PyTorch
        (224, 3, 2, 1, ((1, 1), (0, 0)), 112),
        (5, 3, 1, 1, ((2, 0), (0, 0)), 5),
        (5, 3, 1, 1, ((0, 5), (0, 0)), 8),
    ],
)
def test_output_size_by_hand(size, kernel, stride, dilation, padding, expected):
    assert one_axis(size, kernel, stride, dilation, padding)[2] == expected


def test_window_keeps_the_order_of_the_compiled_code():
    win = window("Conv2D", (3, 5), (2, 4), ((1, 2), (3, 6)), (7, 1), (40, 50))
    assert win == (3, 5, 2, 4, 1, 2, 3, 6, 7, 1)
    assert Window._fields == (
        "kernel_h",
        "kernel_w",
        "stride_h",
        "stride_w",
        "pad_top",
        "pad_bottom",
        "pad_left",
        "pad_right",
        "dilation_h",
        "dilation_w",
    )
    assert output_size(win, (40, 50)) == (15, 14)


def test_window_pads_by_an_int_on_every_side():
    assert window("Conv2D", (3, 3), (1, 1), 2, (1, 1), (4, 5))[4:8] == (2, 2, 2, 2)
    assert pool_window("MaxPooling2D", (3, 3), (2, 2), 1, (4, 5))[4:8] == (1, 1, 1, 1)


sizes, small = st.integers(1, 40), st.integers(1, 7)
paddings = st.sampled_from(["valid", "same"]) | st.tuples(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), st.just((0, 0))
)


def count_positions(size, kernel, stride, dilation, before, after):
    """Return how many windows fit, by trying each pixel as a start."""
    pixels = range(-before, size + after)
    taps = [tap * dilation for tap in range(kernel)]
    return len([p for p in pixels[::stride] if all(p + tap in pixels for tap in taps)])


@settings(deadline=None)
@given(sizes, small, small, small, paddings)
def test_output_size_counts_the_positions_of_the_window(size, kernel, stride, dilation, padding):
    axis = (size, kernel, stride, dilation)
    if padding != "same":
        ends = (0, 0) if padding == "valid" else padding[0]
        assume(count_positions(*axis, *ends) > 0)
    before, after, out = one_axis(*axis, padding)
    assert out == count_positions(*axis, before, after)
    if padding == "same":
        assert out == len(range(0, size, stride))
        assert after - before in (0, 1)
        if after > 0:  # one pixel less would lose an output
            assert count_positions(*axis, before, after - 1) < out
    else:
        assert (before, after) == ends


@settings(deadline=None)
@given(sizes, small, small, st.sampled_from(["valid", "same"]) | st.integers(0, 6))
def test_every_pooling_window_meets_the_image(size, kernel, stride, padding):
    assume(padding == "same" or size >= kernel)
    assume(not isinstance(padding, int) or padding < kernel)
    hw = (size, size)
    win = pool_window("MaxPooling2D", (kernel, kernel), (stride, stride), padding, hw)
    for position in range(output_size(win, hw)[0]):
        start = position * stride - win.pad_top
        assert any(0 <= start + tap < size for tap in range(kernel))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda: window("Conv2D", (5, 5), (1, 1), "valid", (1, 1), (4, 28)),
            "Conv2D: `kernel_size` must fit into the padded image of 4 x 28 pixels, but spans "
            "5 x 5. Received: kernel_size=(5, 5).",
        ),
        (
            lambda: window("Conv2D", (3, 3), (1, 1), ((1, 1), (0, 0)), (1, 3), (4, 6)),
            "Conv2D: `kernel_size` must fit into the padded image of 6 x 6 pixels, but spans 3 x 7 "
            "with dilation (1, 3). Received: kernel_size=(3, 3).",
        ),
        (
            lambda: pool_window("MaxPooling2D", (2, 2), (2, 2), "valid", (1, 1)),
            "MaxPooling2D: `pool_size` must fit into the padded image of 1 x 1 pixels, but spans "
            "2 x 2. Received: pool_size=(2, 2).",
        ),
        (
            lambda: pool_window("MaxPooling2D", (2, 3), (2, 2), 2, (8, 8)),
            "MaxPooling2D: `padding` must be smaller than `pool_size`=(2, 3) on every side. Received: padding=2.",
        ),
        (
            lambda: pool_window("MaxPooling2D", (2, 3), (2, 2), ((0, 0), (0, 3)), (8, 8)),
            "MaxPooling2D: `padding` must be smaller than `pool_size`=(2, 3) on every side. "
            "Received: padding=((0, 0), (0, 3)).",
        ),
        (
            lambda: window("Conv2D", (3, 3), (1, 1), "same", (1, 1), (0, 5)),
            "Conv2D: `x` must have at least one row and one column of pixels. Received: height=0, width=5.",
        ),
        (
            lambda: check_size("Conv2D", "out", (2**20, 2**20, 2**20)),
            "Conv2D: `out` must have at most 2**59 elements. Received: out.shape=(1048576, 1048576, 1048576).",
        ),
        (
            lambda: check_size("Conv2D", "out", (0, 2**70)),
            "Conv2D: `out` must have at most 2**59 elements. Received: out.shape=(0, 1180591620717411303424).",
        ),
    ],
)
def test_errors_name_the_sizes(call, expected):
    with pytest.raises(ValueError, match=r"^\w+: `") as error:
        call()
    assert str(error.value) == expected


def test_check_size_accepts_what_can_be_addressed():
    check_size("Conv2D", "out", (2**59,))
    check_size("Conv2D", "out", (0, 224, 224, 64))
    check_size("Conv2D", "out", ())
