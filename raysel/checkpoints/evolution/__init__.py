"""How selectivity changes from one checkpoint to the next: a series of indexes, its tables, and its page.

`series` opens the indexes in the order of their steps, and `changes` compares them. The figures and the page are built
like those of `raysel.report`, and need the packages of ``raysel[report]``.
"""
