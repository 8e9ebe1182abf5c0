"""Questions to an index: which neurons match words and conditions, and which are similar.

Arrow tables in, Arrow tables out. The command line, Python and the explorer all ask here. ``raysel.open`` returns an
index with these questions as methods.
"""

from raysel.query.atlas import write_atlas
from raysel.query.columns import column_values, columns_for_people, selected
from raysel.query.comparison import diff
from raysel.query.explanation import Explanation, explain
from raysel.query.finding import find
from raysel.query.profiles.similarity import By, similar
from raysel.query.question import Direction, Found, NeuronTable, Question
from raysel.query.searchable import SearchableIndex, open_searchable
from raysel.store import plain_row, plain_rows

__all__ = [
    "By",
    "Direction",
    "Explanation",
    "Found",
    "NeuronTable",
    "Question",
    "SearchableIndex",
    "column_values",
    "columns_for_people",
    "diff",
    "explain",
    "find",
    "open_searchable",
    "plain_row",
    "plain_rows",
    "selected",
    "similar",
    "write_atlas",
]
