"""Every option of the commands that do the work, declared once: name, type, default and help.

The command line makes its options from these classes, and the Python API takes their objects. A `...Request` is what a
caller asks for, in words and paths. The options of a package (`planner.PlanOptions`, `engine.ApplyOptions`,
`audit.VerifyOptions`) hold the values that were read from them; what is the same in both stands in a `...Choices`.

The modules are imported one by one: `apply` starts without the options of `plan`.
"""
