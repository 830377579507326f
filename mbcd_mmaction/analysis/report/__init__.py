"""The comparison as tables, figures and pages, made of records of runs.

``layout`` says which tables there are, ``grid`` holds their numbers,
``significance`` compares them, ``sections`` puts all into a neutral
``document``, and ``markdown`` and ``html`` print that; ``csv_files`` keeps the
numbers, ``charts`` and ``figures`` draw them, ``write`` writes the files.
"""
