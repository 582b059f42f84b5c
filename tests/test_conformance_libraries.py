"""Parameters of real networks of other libraries become θ: the probe that proves it is their own forward pass."""

import numpy as np
import pytest

import refntk as rn
from refntk.conformance.parameters import NAMES, theta_from
from refntk.errors import InvalidInput

X = np.array([[0.1, 0.2], [0.5, -0.3], [-0.7, 0.9]])
NETWORK = rn.MLP([2, 4, 4, 1])


def torch_network():
    torch = pytest.importorskip("torch")
    torch.manual_seed(17)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    return model.state_dict(), model(torch.tensor(X)).detach().numpy(), "torch"


def flax_linen():
    linen = pytest.importorskip("flax.linen")
    jax = pytest.importorskip("jax")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in (4, 4):
                x = linen.tanh(linen.Dense(width, param_dtype=np.float64)(x))
            return linen.Dense(1, param_dtype=np.float64)(x)

    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        net = Net()
        variables = net.init(jax.random.key(17), X)
        return variables, np.asarray(net.apply(variables, X)), "flax"


def equinox_mlp():
    eqx = pytest.importorskip("equinox")
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        model = eqx.nn.MLP(2, 1, width_size=4, depth=2, activation=jax.numpy.tanh, dtype=np.float64, key=jax.random.key(17))
        leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(model, eqx.is_array))
        named = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        return named, np.asarray(jax.vmap(model)(X)), "equinox"


LIBRARIES = {"torch": torch_network, "flax": flax_linen, "equinox": equinox_mlp}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_real_network_is_read(library):
    parameters, outputs, names = LIBRARIES[library]()
    theta = theta_from(parameters, NETWORK, layout=NAMES[names][2], names=names, probe=(X, outputs), tolerance=1e-13)
    assert np.max(np.abs(NETWORK(theta, X) - outputs)) < 1e-13


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_outputs_of_another_network_are_refused(library):
    """Planted fault: the probe of a network that is not this one."""
    parameters, outputs, names = LIBRARIES[library]()
    with pytest.raises(InvalidInput, match="off by"):
        theta_from(parameters, NETWORK, layout=NAMES[names][2], names=names, probe=(X, outputs + 1e-4))
