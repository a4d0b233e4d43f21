"""Trains the travel recommender and writes everything beside this file: `python train.py`, with ../requirements.txt.

A multinomial logit: each mode has a utility, linear in what it costs and takes and in who travels, and the probability
of a mode is the softmax over the four.

@see D. McFadden, Conditional logit analysis of qualitative choice behavior, 1974
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import minimize
from scipy.special import logsumexp
from statsmodels.datasets import modechoice

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from example_folder import (  # noqa: E402
    Input,
    Sample,
    save_golden,
    save_heldout,
    save_model,
    save_samples,
    save_sums,
)
from measure import measure  # noqa: E402

SEED = 1987
HELDOUT = 60
SHOWN = 8
MODES = ["air", "train", "bus", "car"]
# What keeps 13 coefficients of 150 travellers from growing without bound; in units of the scaled features.
PENALTY = 0.5
# Dollars, minutes, minutes: brings the columns to the order of 1 for the optimiser.
SCALES = np.array([100.0, 60.0, 600.0])
TRAVELLER_SCALES = np.array([50.0, 2.0])

SETTINGS = {
    "entry": "model.onnx",
    "metadata": {
        "task": "recommendation",
        "description": "Ranks air, train, bus and car for one traveller. Inputs: household income in thousands of "
        "dollars, people travelling together, and per mode (air, train, bus, car) the cost in dollars, the waiting "
        "time and the travelling time in minutes.",
        "licence": "Apache-2.0 (model), public domain (training data)",
        "source": "Trained by examples/models/travel/train.py on W. H. Greene and D. Hensher, Travel Mode Choice, "
        "data table F18-2 of Econometric Analysis, 7th edition, as statsmodels.datasets.modechoice carries it",
    },
    "deployment": {"minReplicas": 2},
    "classLabels": MODES,
    "answer": {"kind": "ranking", "output": "ranking", "scores": "scores", "top": 3},
}


@dataclass(frozen=True)
class Travellers:
    """`offers` [n, 4 modes, 3]: cost, waiting time, travelling time. `people` [n, 2]: income, party size."""

    ids: np.ndarray
    offers: np.ndarray
    people: np.ndarray
    chosen: np.ndarray

    def subset(self, rows: np.ndarray) -> "Travellers":
        return Travellers(self.ids[rows], self.offers[rows], self.people[rows], self.chosen[rows])


def load_travellers() -> Travellers:
    table = modechoice.load_pandas().data.sort_values(["individual", "mode"])
    column = {name: table[name].to_numpy().reshape(-1, len(MODES)) for name in table}
    return Travellers(
        ids=column["individual"][:, 0].astype(int),
        offers=np.stack([column["invc"], column["ttme"], column["invt"]], axis=2),
        people=np.stack([column["hinc"][:, 0], column["psize"][:, 0]], axis=1),
        chosen=column["choice"].argmax(axis=1),
    )


def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the offer [3], of the traveller [2, 4], constants [4]; car is the mode the others are compared with."""
    people = np.zeros((2, len(MODES)))
    people[:, :3] = theta[3:9].reshape(2, 3)
    return theta[:3], people, np.append(theta[9:12], 0)


def fit(train: Travellers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:returns: as `unpack`, in dollars, minutes and people"""
    offers, people = train.offers / SCALES, train.people / TRAVELLER_SCALES

    def loss(theta: np.ndarray) -> float:
        offer_weights, people_weights, constants = unpack(theta)
        utility = offers @ offer_weights + people @ people_weights + constants
        chosen = utility[np.arange(len(utility)), train.chosen]
        return float(np.sum(logsumexp(utility, axis=1) - chosen) + PENALTY * theta @ theta)

    offer_weights, people_weights, constants = unpack(minimize(loss, np.zeros(12), method="BFGS").x)
    return offer_weights / SCALES, people_weights / TRAVELLER_SCALES[:, np.newaxis], constants


def build_graph(offer_weights: np.ndarray, people_weights: np.ndarray, constants: np.ndarray):
    """Five inputs → ranking INT64 [batch, 4], best first, and scores FP32 [batch, 4] in the same order."""
    weights = {
        "cost_weight": offer_weights[0],
        "waiting_weight": offer_weights[1],
        "travel_weight": offer_weights[2],
        "income_weights": people_weights[0:1],
        "party_weights": people_weights[1:2],
        "constants": constants,
    }
    initializers = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in weights.items()]
    initializers.append(numpy_helper.from_array(np.array([1], np.int64), "last_axis"))
    initializers.append(numpy_helper.from_array(np.array([len(MODES)], np.int64), "mode_count"))
    node = helper.make_node
    nodes = [
        node("Mul", ["cost", "cost_weight"], ["cost_term"]),
        node("Mul", ["waiting_time", "waiting_weight"], ["waiting_term"]),
        node("Mul", ["travel_time", "travel_weight"], ["travel_term"]),
        node("Unsqueeze", ["income", "last_axis"], ["income_column"]),
        node("Mul", ["income_column", "income_weights"], ["income_term"]),
        node("Cast", ["party_size"], ["party"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["party", "last_axis"], ["party_column"]),
        node("Mul", ["party_column", "party_weights"], ["party_term"]),
        node(
            "Sum",
            ["cost_term", "waiting_term", "travel_term", "income_term", "party_term", "constants"],
            ["utility"],
        ),
        node("Softmax", ["utility"], ["probabilities"], axis=1),
        node("TopK", ["probabilities", "mode_count"], ["scores", "ranking"], axis=1),
    ]
    per_person, per_mode = ["batch"], ["batch", len(MODES)]
    inputs = [
        helper.make_tensor_value_info("income", TensorProto.FLOAT, per_person),
        helper.make_tensor_value_info("party_size", TensorProto.INT64, per_person),
        helper.make_tensor_value_info("cost", TensorProto.FLOAT, per_mode),
        helper.make_tensor_value_info("waiting_time", TensorProto.FLOAT, per_mode),
        helper.make_tensor_value_info("travel_time", TensorProto.FLOAT, per_mode),
    ]
    outputs = [
        helper.make_tensor_value_info("ranking", TensorProto.INT64, per_mode),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, per_mode),
    ]
    return helper.make_graph(nodes, "travel", inputs, outputs, initializers)


def request_of(travellers: Travellers) -> list[Input]:
    n = len(travellers.ids)
    offers, people = travellers.offers, travellers.people
    return [
        Input("income", "FP32", [n], people[:, 0].tolist()),
        Input("party_size", "INT64", [n], people[:, 1].astype(int).tolist()),
        Input("cost", "FP32", [n, len(MODES)], offers[:, :, 0].ravel().tolist()),
        Input("waiting_time", "FP32", [n, len(MODES)], offers[:, :, 1].ravel().tolist()),
        Input("travel_time", "FP32", [n, len(MODES)], offers[:, :, 2].ravel().tolist()),
    ]


def sample_of(traveller: Travellers) -> Sample:
    number, income, party = traveller.ids[0], *traveller.people[0]
    name = f"traveller {number}: income {income:g}, party of {party:g}"
    expected = MODES[traveller.chosen[0]]
    return Sample(name, f"traveller-{number}.json", request_of(traveller), expected)


def main() -> None:
    rng = np.random.default_rng(SEED)
    travellers = load_travellers()
    order = rng.permutation(len(travellers.ids))
    heldout = travellers.subset(np.sort(order[:HELDOUT]))
    weights = fit(travellers.subset(np.sort(order[HELDOUT:])))

    save_model(HERE, build_graph(*weights), SETTINGS)
    shown = np.sort(rng.choice(HELDOUT, SHOWN, replace=False))
    save_samples(HERE, [sample_of(heldout.subset(np.array([row]))) for row in shown])
    save_heldout(HERE, request_of(heldout), [MODES[mode] for mode in heldout.chosen])
    save_golden(HERE)
    save_sums(HERE)
    measure(HERE)


if __name__ == "__main__":
    main()
