"""The objects of the paper: rankings and their merge, crops, and the neuron feature. Plain NumPy."""

from raysel.neurons.crops import CropCutter, Crops
from raysel.neurons.feature import NeuronFeature, neuron_feature
from raysel.neurons.field_data import field_data, field_of
from raysel.neurons.keys import MAX_IMAGES, activations_of, candidate_keys
from raysel.neurons.merging import entering, fold_into, keep_top, merge
from raysel.neurons.pictures import ContactSheet, contact_sheet, feature_picture
from raysel.neurons.ranking import Candidates, Rankings
from raysel.neurons.receptive_field import AxisField, ReceptiveField
from raysel.neurons.tap import Tap, first_neurons

__all__ = [
    "MAX_IMAGES",
    "AxisField",
    "Candidates",
    "ContactSheet",
    "CropCutter",
    "Crops",
    "NeuronFeature",
    "Rankings",
    "ReceptiveField",
    "Tap",
    "activations_of",
    "candidate_keys",
    "contact_sheet",
    "entering",
    "feature_picture",
    "field_data",
    "field_of",
    "first_neurons",
    "fold_into",
    "keep_top",
    "merge",
    "neuron_feature",
]
