"""Everything around the running service: settings, wiring, commands, demo, benchmark.

What every command and the service need lies here; the rest lies in a folder for each idea:

- `commands`: the command line, a file for each command; `duties` here says what they do to an open clinic.
- `serving`: what runs beside the requests; `doctor`: what is healthy about a clinic on this machine.
- `keys`: who keeps the root keys; `backups`: two folders, and back.
- `live`: a clinic's log compared with all that stands beside it; `verifier`: what a clinic gives, checked without one.
  `verify` here is the verifier of whole logs, a file that leaves alone.
- `witness`: who co-signs for others, and how it is asked.
- `exports`: one record out; `moving`: a whole clinic out and in, and one record in; `loading`: a history in.
- `demo`: invented people; `bench`: the figures.
"""
