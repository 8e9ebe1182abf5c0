"""The paper's objects: rankings, crops, the neuron feature."""

from raysel.neurons.crops import CropCutter, Crops, reduction_factor
from raysel.neurons.feature import NeuronFeature, neuron_features
from raysel.neurons.keys import MAX_IMAGES, activations_of
from raysel.neurons.keys import pack as candidate_keys
from raysel.neurons.merging import fold, fold_into, merge, select, thin
from raysel.neurons.pictures import (
    contact_sheets,
    cut_sheet,
    decode_picture,
    encode_sheet,
    feature_png,
    sheet_boxes,
)
from raysel.neurons.ranking import Candidates, Rankings
from raysel.neurons.receptive_field import ReceptiveField

__all__ = [
    "MAX_IMAGES",
    "Candidates",
    "CropCutter",
    "Crops",
    "NeuronFeature",
    "Rankings",
    "ReceptiveField",
    "activations_of",
    "candidate_keys",
    "contact_sheets",
    "cut_sheet",
    "decode_picture",
    "encode_sheet",
    "feature_png",
    "fold",
    "fold_into",
    "merge",
    "neuron_features",
    "reduction_factor",
    "select",
    "sheet_boxes",
    "thin",
]
