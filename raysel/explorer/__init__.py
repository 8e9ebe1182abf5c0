"""The explorer: a read-only web application over indexes, and the same pages as a static site.

`raysel.explorer.app` is the application (FastAPI) and `site` writes the static site. `views` collects what each page
shows, `charts` the geometry of its charts; `templates` is the HTML and `assets` what a browser loads beside it. Nothing
outside of the served indexes is read, except for their images, and nothing is written.
"""
