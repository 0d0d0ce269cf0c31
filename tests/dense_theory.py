"""docs/theory.md, section 3, as matrices in 50-digit arithmetic: slow, plain, and independent of src/."""

from __future__ import annotations

import mpmath as mp
import numpy as np

mp.mp.dps = 50


def _dot(a, b):
    return mp.fsum(x * y for x, y in zip(a, b, strict=True))


def _kernel(activation, x1, x2, lambda0, n_features):
    """Rows of exact doubles in, (len(x1), len(x2)) mp matrix out."""

    def c(a, b):
        return _dot(a, b) / (lambda0 * n_features)

    def value(a, b):
        if activation == "linear":
            return c(a, b)
        return 2 / mp.pi * mp.asin(2 * c(a, b) / mp.sqrt((1 + 2 * c(a, a)) * (1 + 2 * c(b, b))))

    return mp.matrix([[value(a, b) for b in x2] for a in x1])


class DenseTheory:
    """All observables of one data set at one point, by matrix inversion."""

    def __init__(self, dataset, activation, lambda0=1.0):
        def rows(x):
            return [[mp.mpf(float(v)) for v in row] for row in x]

        self.x, self.xt = rows(dataset.x_train), rows(dataset.x_test)
        self.y = [mp.mpf(float(v)) for v in dataset.y_train]
        self.yt = [mp.mpf(float(v)) for v in dataset.y_test]
        self.l0, self.n0, self.p = mp.mpf(lambda0), dataset.n_features, dataset.n_train
        args = (self.l0, self.n0)
        self.k = _kernel(activation, self.x, self.x, *args)
        self.kt = _kernel(activation, self.xt, self.x, *args)
        self.ktt = _kernel(activation, self.xt, self.xt, *args)
        slopes = [
            mp.mpf(1)
            if activation == "linear"
            else 2 / mp.sqrt(mp.pi * (1 + 2 * _dot(r, r) / (self.l0 * self.n0)))
            for r in self.x
        ]
        self.b = mp.matrix(
            [
                [s * r[a] / (self.l0 * mp.sqrt(self.n0)) for r, s in zip(self.x, slopes, strict=True)]
                for a in range(self.n0)
            ]
        )

    def sigma(self, g, t):
        return t * mp.eye(self.p) + g * self.k

    def action(self, q, t, n, l1):
        s = self.sigma(q / l1, t)
        y = mp.matrix(self.y)
        return q - mp.log(q) + (mp.log(mp.det(s)) + (y.T * mp.lu_solve(s, y))[0]) / n

    def slope(self, u, t, n, l1):
        """dS/du by traces: independent of any eigendecomposition."""
        q = mp.exp(u)
        s_inv = self.sigma(q / l1, t) ** -1
        a = s_inv * mp.matrix(self.y)
        trace = sum((s_inv * self.k)[i, i] for i in range(self.p))
        return q - 1 + q / l1 * (trace - (a.T * self.k * a)[0]) / n

    def order_parameter(self, guess, t, n, l1):
        """The stationary point next to `guess`."""
        t, n, l1 = mp.mpf(t), mp.mpf(n), mp.mpf(l1)
        u = mp.log(mp.mpf(guess))
        root = mp.findroot(
            lambda v: self.slope(v, t, n, l1), (u - mp.mpf("1e-7"), u + mp.mpf("1e-7")), tol=mp.mpf("1e-60")
        )
        return mp.exp(root)

    def observables(self, q, t, n, l1):
        """Every variable of the cube, train and test, as a dict of mp numbers or lists."""
        q, t, n, l1 = mp.mpf(q), mp.mpf(t), mp.mpf(n), mp.mpf(l1)
        g = q / l1
        inverse = self.sigma(g, t) ** -1
        y = mp.matrix(self.y)
        a = inverse * y
        m = a * a.T - inverse
        out = {
            "order_parameter": q,
            "free_energy": self.action(q, t, n, l1) / 2,
            "readout_variance": g,
            "hidden_trace_shift": self._trace(self.b * m * self.b.T) * g / n,
        }
        ba = self.b * a
        norm = mp.sqrt((ba.T * ba)[0])
        out["readout_signal_covariance"] = g / mp.sqrt(n) * norm
        if norm > 0:
            u = ba / norm
            out["signal_variance"] = 1 / self.l0 + g / n * (u.T * self.b * m * self.b.T * u)[0]
        for split, k, ktt, labels in (
            ("train", self.k, self.k, self.y),
            ("test", self.kt, self.ktt, self.yt),
        ):
            mean = g * k * a
            cov = g * ktt - g * g * k * inverse * k.T
            size = len(labels)
            bias = mp.fsum((mean[i] - labels[i]) ** 2 for i in range(size)) / size
            var = self._trace(cov) / size
            shifted = ktt + g / n * k * m * k.T
            u = [
                mp.matrix(
                    [mp.mpf(1) / sum(z * s > 0 for z in labels) if v * s > 0 else mp.mpf(0) for v in labels]
                )
                for s in (-1, 1)
            ]
            d = u[1] - u[0]
            scaled = [
                mp.matrix([v[i] / mp.sqrt(shifted[i, i]) if v[i] else mp.mpf(0) for i in range(size)])
                for v in u
            ]
            dn = scaled[1] - scaled[0]
            out[split] = {
                "bias_sq": bias,
                "predictive_variance": var,
                "mse": bias + var,
                "accuracy": mp.mpf(sum(mean[i] * labels[i] > 0 for i in range(size))) / size,
                "centroid_distance_sq": (d.T * shifted * d)[0],
                "gyration_radius_sq": [
                    mp.fsum(v[i] * shifted[i, i] for i in range(size)) - (v.T * shifted * v)[0] for v in u
                ],
                "normalized_centroid_distance_sq": (dn.T * shifted * dn)[0],
                "normalized_gyration_radius_sq": [1 - (v.T * shifted * v)[0] for v in scaled],
            }
        out["mean_energy"] = self.p * out["train"]["mse"] / (2 * n)
        return out

    @staticmethod
    def _trace(matrix):
        return mp.fsum(matrix[i, i] for i in range(matrix.rows))


def worst_deviation(point, expected):
    """Largest relative deviation of a point of a theory cube from `DenseTheory.observables`, and where."""
    worst = (0.0, "")
    floors = {"normalized_gyration_radius_sq": "1e-4"}  # of unit vectors: what is left of 1 - 1 is rounding
    for name, value in expected.items():
        if isinstance(value, dict):
            for inner, v in value.items():
                got = point[inner].sel(split=name).values
                for g, e in zip(np.atleast_1d(got), v if isinstance(v, list) else [v], strict=True):
                    worst = max(worst, (_relative(g, e, floors.get(inner, "1e-300")), f"{inner} {name}"))
        else:
            worst = max(worst, (_relative(float(point[name]), value), name))
    return worst


def _relative(got, expected, floor="1e-300"):
    return float(abs(mp.mpf(float(got)) - expected) / max(abs(expected), mp.mpf(floor)))
