"""What a competent user of PyTorch writes for the same work, in float64, eager as almost everybody runs it.

"autograd": points in one batch, derivatives in x by `autograd.grad(..., create_graph=True)`, the way of nearly all PINN code; it
has a step and a sample, for per-sample gradients need a loop there. "func": a function of one point with nested reverse derivatives
(forward over forward and forward over reverse were slower), `vmap`, and for Jacobians `vmap(grad)` or, where a point has several
rows, `vmap(jacrev)`. First derivatives are taken once and kept for all second ones.
"""

from functools import cache, partial

import numpy as np
import torch
from equations import EQUATIONS
from torch.func import grad, grad_and_value, jacrev, jvp, vjp, vmap

DERIVATIVES = ("func", "autograd")
DT = 1e-4


def workloads(case, derivatives="func", device="cpu"):
    """`{workload: prepare}` for a refntk case; `prepare()` returns the call, whose answer has refntk's order."""

    def place(array):
        return torch.tensor(np.asarray(array), device=device)

    layers = case.network.unflatten(np.asarray(case.theta))
    params = [place(array) for layer in layers for array in layer]  # W, b, W, b, ...
    points = {name: place(x) for name, x in case.points.items()}
    make = {"func": _func, "autograd": _autograd}[derivatives]
    calls = make(EQUATIONS[case.problem.name](case.problem, torch), network(case.network), params, points, place(case.probe))
    return {name: partial(_waiting, prepare, device) for name, prepare in calls.items()}


def _waiting(prepare, device):
    """The call, ended when the device has ended."""
    call = prepare()
    if device == "cpu":
        return call

    def waits():
        answer = call()
        torch.cuda.synchronize(device)
        return answer

    return waits


def network(mlp):
    """`u(params, x)` for x (..., inputs): (..., outputs)."""
    if mlp.activation.name != "tanh":
        raise ValueError(f"rivals are written for tanh, not {mlp.activation.name}")

    def u(params, x):
        a = (x - x.new_tensor(mlp.shift)) / x.new_tensor(mlp.scale)
        maps = list(zip(params[::2], params[1::2], mlp.scales, strict=True))
        for W, b, s in maps[:-1]:
            a = torch.tanh((a @ W if s == 1 else s * (a @ W)) + b)
        W, b, s = maps[-1]
        return (a @ W if s == 1 else s * (a @ W)) + b

    return u


def _autograd(rows, u, params, points, probe):
    def derivatives(params, x):
        """`D(*axes)` (n, outputs) for a batch x (n, inputs)."""
        x = x.clone().requires_grad_()

        @cache
        def gradients(*axes):
            """The gradient (n, inputs) of every output of D(*axes)."""
            return [torch.autograd.grad(column.sum(), x, create_graph=True)[0] for column in D(*axes).unbind(-1)]

        @cache
        def D(*axes):
            if not axes:
                return u(params, x)
            return torch.stack([gradient[:, axes[-1]] for gradient in gradients(*axes[:-1])], -1)

        return D

    def residual(params):
        return torch.cat([row(derivatives(params, points[term]), points[term]).reshape(-1) for term, row in rows.items()])

    trainable = [p.clone().requires_grad_() for p in params]

    def unweighted_step():
        r = residual(trainable)
        return {"residual": r.detach(), "gradient": torch.autograd.grad(r @ r / 2, trainable)}

    def sample():
        r = residual(trainable)

        def call():
            direction = torch.autograd.grad(r, trainable, probe, retain_graph=True)
            ahead = residual([p + DT * d for p, d in zip(params, direction, strict=True)])
            return {"product": (ahead - r).detach() / DT}

        return call

    return {"unweighted_step": lambda: unweighted_step, "sample": sample}


def _func(rows, u, params, points, probe):
    params = tuple(params)
    outputs = params[-1].shape[0]

    def derivatives(params, x):
        """`D(*axes)` (outputs,) at one point x (inputs,)."""

        @cache
        def opened(k):
            """The gradient of output k, its pullback and the output."""
            return vjp(grad_and_value(lambda y: u(params, y)[k]), x)

        def D(*axes):
            if not axes:
                return u(params, x)
            return torch.stack([along(opened(k), *axes) for k in range(outputs)])

        def along(gradient, *axes):
            (first, value), pull = gradient
            if len(axes) == 1:
                return first[axes[0]]
            unit = torch.zeros_like(x)
            unit[axes[0]] = 1
            return pull((unit, torch.zeros_like(value)))[0][axes[1]]

        return D

    def row(term, params, x):
        return rows[term](derivatives(params, x), x)

    def residual(params):
        return torch.cat([vmap(partial(row, term, params))(points[term]).reshape(-1) for term in rows])

    def half_square(params):
        r = residual(params)
        return r @ r / 2, r

    def unweighted_step():
        gradient, (_, r) = grad_and_value(half_square, has_aux=True)(params)
        return {"residual": r, "gradient": gradient}

    def jacobian(term):
        """J of one term, leaves (rows, size)."""
        if outputs == 1:
            leaves = vmap(grad(lambda p, x: row(term, p, x)[0]), (None, 0))(params, points[term])
            return [leaf.flatten(1) for leaf in leaves]
        leaves = vmap(jacrev(partial(row, term)), (None, 0))(params, points[term])  # (points, outputs, ...)
        return [leaf.flatten(0, 1).flatten(1) for leaf in leaves]

    def traces():
        return {"traces": [sum((leaf**2).sum() for leaf in jacobian(term)) for term in rows]}

    def ntk():
        leaves = [torch.cat(parts) for parts in zip(*(jacobian(term) for term in rows), strict=True)]
        return {"ntk": sum(leaf @ leaf.T for leaf in leaves)}

    def product():
        _, pull = vjp(residual, params)
        return {"product": jvp(residual, (params,), pull(probe))[1]}

    def sample():
        r, pull = vjp(residual, params)

        def call():
            (direction,) = pull(probe, retain_graph=True)
            ahead = residual(tuple(p + DT * d for p, d in zip(params, direction, strict=True)))
            return {"product": (ahead - r) / DT}

        return call

    return {
        "unweighted_step": lambda: unweighted_step,
        "sample": sample,
        "traces": lambda: traces,
        "ntk": lambda: ntk,
        "product": lambda: product,
    }
