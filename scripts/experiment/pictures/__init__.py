"""The report's pictures, SVG by matplotlib, one function each: results in, a Picture out.

style      colours, words and axes that all of them share; the only importer of matplotlib beside the rest here
timelines  response time over a run with the release's stages shaded
spread     box plots of runs, and error rates with their upper bounds
thesis     the thesis's Figures 4.1 to 4.5 beside ours
capacity   the knee, and what a soak leaves behind
"""
