"""What a team costs before it is deployed: from the templates, by the list of prices. Imports no aws_cdk.

`kinds` is the table of resource types, `schedules` counts what runs although nobody asks, `uses` has the price of a unit of use,
`estimate` walks the templates, `prices` takes figures of one's own, `assumptions` says what templates cannot; `view` and `document`
tell the result.
"""
