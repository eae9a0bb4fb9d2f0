"""The random changes of images in NumPy, written to be obviously right: draws, maps, boxes, adjustments."""

import numpy as np

MASK = 2**64 - 1


def mix64(h):
    """Scramble the bits of an int (SplitMix64)."""
    h = (h + 0x9E3779B97F4A7C15) & MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    return h ^ (h >> 31)


def hash32(i, key):
    """Scramble an int (triple32 with a key of 64 bits)."""
    low, high = key & 0xFFFFFFFF, key >> 32
    h = (i + low) & 0xFFFFFFFF
    h = ((h ^ (h >> 17)) * 0xED5AD4BB + high) & 0xFFFFFFFF
    h = ((h ^ (h >> 11)) * 0xAC4C1B51) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x31848BAB) & 0xFFFFFFFF
    return h ^ (h >> 14)


def image_key(seed, step, image):
    return mix64(mix64(mix64(mix64(0) ^ step) ^ seed) ^ image)


def draws(rows, ranges, seed, step, first):
    """Return numbers drawn uniformly from the ranges, a row for each image."""
    u = [
        [(mix64(image_key(seed, step, n) ^ (first + p)) >> 11) / 2**53 for p in range(len(ranges))] for n in range(rows)
    ]
    low, high = np.array(ranges, float).T
    return low + (high - low) * np.array(u).reshape(rows, len(ranges))


def coefficients(kind, drawn, height, width):
    """Return the maps (a0, a1, a2, b0, b1, b2) of rotations, translations or zooms."""
    zero, one = np.zeros(len(drawn)), np.ones(len(drawn))
    cx, cy = (width - 1) / 2, (height - 1) / 2
    if kind == "rotation":
        cos, sin = np.cos(2 * np.pi * drawn[:, 0]), np.sin(2 * np.pi * drawn[:, 0])
        rows = cos, -sin, cx - cx * cos + cy * sin, sin, cos, cy - cx * sin - cy * cos
    elif kind == "translation":
        rows = one, zero, -width * drawn[:, 1], zero, one, -height * drawn[:, 0]
    else:
        zoom_h, zoom_w = drawn[:, 0], drawn[:, -1]
        rows = zoom_w, zero, cx * (1 - zoom_w), zero, zoom_h, cy * (1 - zoom_h)
    return np.stack(rows, axis=1).astype("float32")


def continue_beyond(at, length, fill_mode):
    """Return coordinates inside an image of this length, except for "constant"."""
    if fill_mode == "constant":
        return at
    if fill_mode == "reflect":
        at = at % (2 * length)
        at = np.where(at < length, at, 2 * length - 1 - at)
    elif fill_mode == "wrap" and length > 1:
        left = at + length * (np.floor(-at / (length - 1)) + 1)
        right = at - length * np.floor(at / (length - 1))
        at = np.where(at < 0, left, np.where(at > length - 1, right, at))
    return np.clip(at, 0, length - 1)


def affine(x, maps, size, interpolation, fill_mode, fill_value):
    """Resample each image along its map."""
    out = np.empty((len(x), *size, x.shape[3]))
    down, across = np.meshgrid(*map(np.arange, size), indexing="ij")
    for n, image in enumerate(x):
        a0, a1, a2, b0, b1, b2 = np.broadcast_to(maps, (len(x), 6))[n].astype(float)
        iw = continue_beyond(a0 * across + a1 * down + a2, image.shape[1], fill_mode)
        ih = continue_beyond(b0 * across + b1 * down + b2, image.shape[0], fill_mode)

        def pixels(row, column, image=image):
            inside = (row >= 0) & (row < image.shape[0]) & (column >= 0) & (column < image.shape[1])
            taken = image[np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int)]
            return np.where(inside[..., None], taken, fill_value)

        if interpolation == "nearest":
            out[n] = pixels(*(np.sign(at) * np.floor(np.abs(at) + 0.5) for at in (ih, iw)))
            continue
        top, left = np.floor(ih), np.floor(iw)
        y, x_ = (ih - top)[..., None], (iw - left)[..., None]
        above = (1 - x_) * pixels(top, left) + x_ * pixels(top, left + 1)
        below = (1 - x_) * pixels(top + 1, left) + x_ * pixels(top + 1, left + 1)
        out[n] = (1 - y) * above + y * below
    return out


def flip(x, drawn, horizontal, vertical):
    flipped = x[:, ::-1] if vertical else x
    flipped = flipped[:, :, ::-1] if horizontal else flipped
    return np.where(drawn[:, :, None, None] <= 0.5, flipped, x)


def boxes(drawn, height, width):
    """Return (top, bottom, left, right) of the rectangles to erase; bottom is top where there is none."""
    rows = []
    for share_w, share_h, across, down, probability, chance in drawn:
        box_h, box_w = height * np.sqrt(share_h), width * np.sqrt(share_w)
        top, left = down * (height - box_h), across * (width - box_w)
        inside_h = [h for h in range(height) if top <= h < top + box_h]
        inside_w = [w for w in range(width) if left <= w < left + box_w]
        erased = chance < probability and inside_h and inside_w
        rows.append((inside_h[0], inside_h[-1] + 1, inside_w[0], inside_w[-1] + 1) if erased else (0, 0, 0, 0))
    return np.array(rows, "int64").reshape(-1, 4)


def inside(boxes, shape):
    """Return where the pixels of images of a shape lie in their boxes."""
    mask = np.zeros((*shape[:3], 1), bool)
    for n, (top, bottom, left, right) in enumerate(boxes):
        mask[n, top:bottom, left:right] = True
    return mask


def normal(shape, seed, step):
    """Return the normal numbers that every pixel has, whether it is erased or not."""
    out = np.empty(shape)
    for n in range(shape[0]):
        key = mix64(image_key(seed, step, n) ^ MASK)
        bits = np.array([hash32(i, key) for i in range(2 * out[n].size)], float).reshape(-1, 2) / 2**32
        values = np.sqrt(-2 * np.log(bits[:, 0] + 2**-32)) * np.cos(2 * np.pi * bits[:, 1])
        out[n] = values.reshape(shape[1:])
    return out


def noise(shape, seed, step, low, high):
    return np.clip(high * normal(shape, seed, step), low, high)


def contrast(x, factor, low, high):
    mean = np.asarray(x, float).mean(axis=(1, 2), keepdims=True)
    return np.clip((x - mean) * factor[:, :, None, None] + mean, low, high)


def brightness(x, delta, low, high):
    return np.clip(x + delta[:, :, None, None], low, high)


def standardize(x, mean, variance, axis, invert):
    """Return (x - mean) / deviation, or the inverse, with statistics of the shape of the axes kept."""
    shape = [extent if i in axis else 1 for i, extent in enumerate(x.shape)]
    mean, deviation = np.reshape(mean, shape), np.maximum(np.sqrt(np.reshape(variance, shape)), 1e-7)
    return x * deviation + mean if invert else (x - mean) / deviation
