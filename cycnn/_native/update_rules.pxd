"""The rules of the optimizers. w is the parameter, g its gradient, t the number of the update:

    sgd       v <- momentum v - rate g, w <- w + v, with Nesterov w <- w + momentum v - rate g;
              without v, w <- w - rate g
    adam      m <- m + (1 - beta_1) (g - m), v <- v + (1 - beta_2) (g^2 - v)
              w <- w - alpha m / (sqrt(v) + epsilon), with AMSGrad the largest v so far under the root
    adamax    m as above, u <- max(beta_2 u, |g|), w <- w - alpha m / (u + epsilon)
    nadam     m, v as above, w <- w - (alpha m + alpha_g g) / (sqrt(alpha_v v) + epsilon)
    rmsprop   v <- rho v + (1 - rho) g^2, a <- rho a + (1 - rho) g, s = rate g / sqrt(v - a^2 + epsilon)
              b <- momentum b + s, w <- w - b; a and b are left out where there are none
    adagrad   v <- v + g^2, w <- w - rate g / sqrt(v + epsilon)
    adadelta  v <- rho v + (1 - rho) g^2, s = g sqrt(u + epsilon) / sqrt(v + epsilon)
              u <- rho u + (1 - rho) s^2, w <- w - rate s
    lion      w <- w - rate sign(beta_1 m + (1 - beta_1) g), m <- beta_2 m + (1 - beta_2) g

Keras's formulas; the alphas hold the rate and the corrections for t. The arrays after g are what a rule remembers, NULL
where it does not.
"""

from libc.math cimport sqrt, sqrtf

from .activations cimport real_t


cdef inline real_t root(real_t x) noexcept nogil:
    if real_t is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline void sgd(
    real_t* w, const real_t* g, real_t* v, real_t* b, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: rate, momentum, nesterov."""
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> hyper[0], momentum = <real_t> hyper[1]
    if v == NULL:
        for i in range(n):
            w[i] -= rate * g[i]
    elif hyper[2] != 0:
        for i in range(n):
            v[i] = momentum * v[i] - rate * g[i]
            w[i] += momentum * v[i] - rate * g[i]
    else:
        for i in range(n):
            v[i] = momentum * v[i] - rate * g[i]
            w[i] += v[i]


cdef inline void adam(
    real_t* w, const real_t* g, real_t* m, real_t* v, real_t* top, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: alpha, beta_1, beta_2, epsilon."""
    cdef:
        Py_ssize_t i
        real_t alpha = <real_t> hyper[0], rest_1 = <real_t> (1 - hyper[1]), rest_2 = <real_t> (1 - hyper[2])
        real_t epsilon = <real_t> hyper[3], m_i, v_i
    if top == NULL:
        for i in range(n):
            m_i = m[i] + rest_1 * (g[i] - m[i])
            v_i = v[i] + rest_2 * (g[i] * g[i] - v[i])
            m[i] = m_i
            v[i] = v_i
            w[i] -= alpha * m_i / (root(v_i) + epsilon)
    else:
        for i in range(n):
            m[i] += rest_1 * (g[i] - m[i])
            v[i] += rest_2 * (g[i] * g[i] - v[i])
        for i in range(n):
            top[i] = top[i] if v[i] <= top[i] else v[i]  # NaN in v, which stays there, becomes NaN
            w[i] -= alpha * m[i] / (root(top[i]) + epsilon)


cdef inline void adamax(
    real_t* w, const real_t* g, real_t* m, real_t* u, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: alpha, beta_1, beta_2, epsilon."""
    cdef:
        Py_ssize_t i
        real_t alpha = <real_t> hyper[0], rest_1 = <real_t> (1 - hyper[1]), beta_2 = <real_t> hyper[2]
        real_t epsilon = <real_t> hyper[3], size, faded
    for i in range(n):
        m[i] += rest_1 * (g[i] - m[i])
        size = -g[i] if g[i] < 0 else g[i]
        faded = beta_2 * u[i]
        u[i] = faded if size <= faded or faded != faded else size
        w[i] -= alpha * m[i] / (u[i] + epsilon)


cdef inline void nadam(
    real_t* w, const real_t* g, real_t* m, real_t* v, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: alpha, alpha_g, alpha_v, beta_1, beta_2, epsilon."""
    cdef:
        Py_ssize_t i
        real_t alpha = <real_t> hyper[0], alpha_g = <real_t> hyper[1], alpha_v = <real_t> hyper[2]
        real_t rest_1 = <real_t> (1 - hyper[3]), rest_2 = <real_t> (1 - hyper[4]), epsilon = <real_t> hyper[5]
    for i in range(n):
        m[i] += rest_1 * (g[i] - m[i])
        v[i] += rest_2 * (g[i] * g[i] - v[i])
        w[i] -= (alpha * m[i] + alpha_g * g[i]) / (root(alpha_v * v[i]) + epsilon)


cdef inline void rmsprop_step(
    const bint centers, const bint rolls, real_t* w, const real_t* g, const real_t* v, real_t* b, const real_t* a,
    Py_ssize_t n, real_t rate, real_t momentum, real_t epsilon
) noexcept nogil:
    """Update by the averages; `centers` and `rolls` are constants, for no loop may ask whether `a` or `b` is NULL."""
    cdef:
        Py_ssize_t i
        real_t spread, step
    for i in range(n):
        spread = v[i] - a[i] * a[i] + epsilon if centers else v[i] + epsilon
        step = rate * g[i] / root(spread)
        if rolls:
            b[i] = momentum * b[i] + step
            step = b[i]
        w[i] -= step


cdef inline void rmsprop(
    real_t* w, const real_t* g, real_t* v, real_t* b, real_t* a, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: rate, rho, momentum, epsilon."""
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> hyper[0], rho = <real_t> hyper[1], rest = <real_t> (1 - hyper[1])
        real_t momentum = <real_t> hyper[2], epsilon = <real_t> hyper[3]
    for i in range(n):
        v[i] = rho * v[i] + rest * (g[i] * g[i])
    if a != NULL:
        for i in range(n):
            a[i] = rho * a[i] + rest * g[i]
    if a != NULL and b != NULL:
        rmsprop_step(True, True, w, g, v, b, a, n, rate, momentum, epsilon)
    elif a != NULL:
        rmsprop_step(True, False, w, g, v, b, a, n, rate, momentum, epsilon)
    elif b != NULL:
        rmsprop_step(False, True, w, g, v, b, a, n, rate, momentum, epsilon)
    else:
        rmsprop_step(False, False, w, g, v, b, a, n, rate, momentum, epsilon)


cdef inline void adagrad(
    real_t* w, const real_t* g, real_t* v, real_t* b, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: rate, epsilon."""
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> hyper[0], epsilon = <real_t> hyper[1]
    for i in range(n):
        v[i] += g[i] * g[i]
        w[i] -= rate * g[i] / root(v[i] + epsilon)


cdef inline void adadelta(
    real_t* w, const real_t* g, real_t* v, real_t* u, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: rate, rho, epsilon."""
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> hyper[0], rho = <real_t> hyper[1], rest = <real_t> (1 - hyper[1])
        real_t epsilon = <real_t> hyper[2], step
    for i in range(n):
        v[i] = rho * v[i] + rest * (g[i] * g[i])
        step = root(u[i] + epsilon) * g[i] / root(v[i] + epsilon)
        u[i] = rho * u[i] + rest * (step * step)
        w[i] -= rate * step


cdef inline void lion(
    real_t* w, const real_t* g, real_t* m, real_t* b, real_t* c, Py_ssize_t n, const double* hyper
) noexcept nogil:
    """hyper: rate, beta_1, beta_2."""
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> hyper[0], beta_1 = <real_t> hyper[1], rest_1 = <real_t> (1 - hyper[1])
        real_t beta_2 = <real_t> hyper[2], rest_2 = <real_t> (1 - hyper[2]), one = 1, mixed
    for i in range(n):
        mixed = beta_1 * m[i] + rest_1 * g[i]
        w[i] -= rate * (one if mixed > 0 else -one if mixed < 0 else mixed)  # zero and NaN are their own signs
        m[i] = beta_2 * m[i] + rest_2 * g[i]
