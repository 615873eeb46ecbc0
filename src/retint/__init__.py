"""Turn black-and-white photographs into colour.

>>> import retint
>>> retint.__version__.count(".")
2
"""

__version__ = "0.1.0"
