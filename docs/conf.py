"""The pages of docs/ as a site, built by `sphinx-build -W docs site`: a warning, such as a dead link, is an error."""

project = "Foreshock"
extensions = ["myst_parser"]
exclude_patterns = ["changelog.d", "examples"]
html_theme = "furo"
html_title = "Foreshock"
html_show_copyright = False
html_copy_source = False
myst_heading_anchors = 3
