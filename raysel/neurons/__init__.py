"""The objects of the paper: rankings and their merge, crops, and the neuron feature. Plain NumPy."""

from raysel.neurons.crops import CropCutter, Crops, reduction_factor
from raysel.neurons.feature import NeuronFeature, neuron_features
from raysel.neurons.keys import MAX_IMAGES, activations_of, candidate_keys
from raysel.neurons.merging import fold_into, keep_top, merge, select
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
    "fold_into",
    "keep_top",
    "merge",
    "neuron_features",
    "reduction_factor",
    "select",
    "sheet_boxes",
]
