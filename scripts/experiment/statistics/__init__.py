"""What can be said of runs, by scipy and statsmodels. Pure: numbers in, numbers out. A run is the unit, not a request.

comparison  is there a difference? Student's t (as the thesis), Welch, Mann-Whitney; Holm over many of them
inferiority is it no worse than a margin allows? One-sided tests, and both sides (TOST)
shift       how large is the difference? Hodges-Lehmann with its interval; ratios of paired blocks
bounds      what zero failures prove: exact upper bounds, the rule of three
"""
