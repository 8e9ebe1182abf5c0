"""What ``raysel bench scan`` compares: raysel's scan, what the machine allows, and other ways to do the same.

A contender is a function from a job, the settings that it chose in an earlier round, and a folder of its own to a
`Report`. It runs in a process of its own (`python -m raysel.bench.contenders`), and is imported there only.
"""
