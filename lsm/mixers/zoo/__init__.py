"""Token mixers of other papers, to compare with."""
