"""What is kept of a network that a library trained: parameters by the library's names, points, and what the library computes there.

Everything is computed twice by the library: in single precision, in which it trains, and in double precision at the same
(single) parameters. The file is what `tests/test_audit.py` holds refntk against.
"""

import numpy as np
import torch

POINTS = {  # of the heat equation; exact in single precision
    "interior": [[x / 4, t / 8] for x in (1, 2, 3) for t in (1, 3, 5, 7)],
    "initial": [[0.125, 0.0], [0.5, 0.0], [0.75, 0.0]],
    "boundary": [[0.0, 0.25], [1.0, 0.5], [1.0, 1.0]],
}


def export(path, net, evaluate):
    """Writes parameters and values; `evaluate(points)` is `{term: {"u_t": (n, 1), ..., "residual": (n, 1)}}`, made by `net`."""
    kept = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    for name, x in POINTS.items():
        kept[f"points/{name}"] = np.array(x)
    for precision, dtype in (("single", torch.float32), ("double", torch.float64)):
        net.to(dtype)
        torch.set_default_dtype(dtype)
        found = evaluate({name: torch.tensor(x, dtype=dtype) for name, x in POINTS.items()})
        kept[f"{precision}/u"] = torch.cat([values["u"] for values in found.values()]).detach().numpy()
        rows = torch.cat([values["residual"] for values in found.values()])[:, 0]
        J = torch.stack([_gradient(row, net) for row in rows])
        kept[f"{precision}/residual"], kept[f"{precision}/ntk"] = rows.detach().numpy(), (J @ J.T).numpy()
        for name in ("u_t", "u_xx"):
            kept[f"{precision}/{name}"] = found["interior"][name].detach().numpy()
    np.savez_compressed(path, **kept)
    return {"loss": float((rows.detach() ** 2).mean()), "bytes": len(open(path, "rb").read())}


def _gradient(row, net):
    parts = torch.autograd.grad(row, list(net.parameters()), retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(parts, net.parameters())])
