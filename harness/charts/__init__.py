"""Pictures in text, for terminals and logs: a counterexample, messages around a failure, a whole run.

They are drawn with letters that every terminal has, or with lines where a terminal shows those; either way at the same
places, within a given width. What is drawn is a `Drawing`, which knows no terminal and no colours: each part has a
style by name, and who prints it decides.
"""
