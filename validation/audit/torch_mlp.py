"""The network of a question as a module of PyTorch, derivatives of u along coordinates, and J's columns in the order of θ."""

import torch
from torch import nn
from torch.func import functional_call, jvp

torch.set_default_dtype(torch.float64)


class Softplus(nn.Module):
    def forward(self, z):
        return torch.logaddexp(z, torch.zeros_like(z))  # nn.Softplus is linear beyond 20


class Sine(nn.Module):
    def forward(self, z):
        return torch.sin(z)


class Quintic(nn.Module):
    def forward(self, z):
        return z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16


ACTIVATIONS = {"tanh": nn.Tanh, "sin": Sine, "swish": nn.SiLU, "softplus": Softplus, "polynomial": Quintic}


class Affine(nn.Module):
    """`(x - shift) / scale`, or a factor in front of a layer; without parameters."""

    def __init__(self, shift, scale):
        super().__init__()
        self.register_buffer("shift", torch.as_tensor(shift))
        self.register_buffer("scale", torch.as_tensor(scale))

    def forward(self, x):
        return (x - self.shift) / self.scale


def network(q):
    """An `nn.Sequential` with the parameters of the question."""
    layers = [Affine(q.shift, q.scale)]
    for (W, b), factor in zip(q.layers(), q.factors):
        if factor != 1:
            layers.append(Affine(0.0, 1 / factor))
        linear = nn.Linear(*W.shape)
        load([linear], [(W, b)])
        layers += [linear, ACTIVATIONS[q.activation]()]
    return nn.Sequential(*layers[:-1])


def load(linears, layers):
    """Copies `[(W (in, out), b)]` into linear layers, which hold W as (out, in)."""
    with torch.no_grad():
        for linear, (W, b) in zip(linears, layers):
            linear.weight.copy_(torch.tensor(W.T))
            linear.bias.copy_(torch.tensor(b))


def columns(parts):
    """(n, p) in the order of θ from `[(n, out, in), (n, out), ...]`."""
    return torch.cat([(p.transpose(1, 2) if p.ndim == 3 else p).flatten(1) for p in parts], dim=1)


def derivative(net, params):
    """`D(x, *axes)`: the derivative of u at one point x (d,) along these axes, (outputs,)."""

    def D(x, *axes):
        if not axes:
            return functional_call(net, params, (x,))
        direction = torch.nn.functional.one_hot(torch.tensor(axes[0]), x.shape[0]).to(x.dtype)
        return jvp(lambda y: D(y, *axes[1:]), (x,), (direction,))[1]

    return D
