"""What a team knows, in one DynamoDB table.

Keys of the ledger's table (pk / sk)
------------------------------------
EXPERIMENTS / <experiment>/HEADER, /TAGS/<page>            one partition for all experiments
EXPERIMENT_NAME#<name> / HEADER                            -> experiment
RUN#<run> / HEADER                                         status, times, latest and newest points: small, changed often
RUN#<run> / REST/<page>                                    params, tags, inputs, outputs
RUN#<run> / LATEST/<page>                                  latest points for which the header has no room
POINTS#<run> / CHUNK/<SHA-256>, MANIFEST/<number>          metric points, and where to find them
RUNS#<experiment> / DIRTY/<run>, PACK/<number>             what a search reads: runs to look at themselves, and packed runs
PACKED#<experiment> / <number>                             the whole of the runs of a pack
DATASETS#<experiment> / <SHA-256 of name and digest>[#<field>#<part>]
LOGGED_MODELS#<experiment> / <model>/HEADER, /METRICS|PARAMS|TAGS/<page>
LOGGED_MODEL#<model> / HEADER                              -> experiment; never changes
REGISTERED_MODELS / <name>                                 header of a registered model, with its uid
VERSIONS / <uid>/TAGS/<page>, <uid>/ALIAS/<alias>, <uid>.<version>/HEADER, /TAGS/<page>   all models in one partition
FILES#<uid>.<version> / <page>                             the pinned files of a version
REQUEST#<key> / HEADER                                     a request that is done, and what it made; of the API's for a day
CUSTODY#<subject> / HEAD, <sequence number>                the chain of custody
CUSTODY_SUBJECTS / <SHA-256 of subject>                    the subjects that have a chain
CUSTODY_WAITING / <time>#<hash>                            the events that no anchor holds yet
CUSTODY_ANCHOR / LAST                                      the anchor written last
EVIDENCE#<SHA-256> / <piece>                               the record of a run as it was when an event fixed it
LOAD / HEADER                                              how many calls each member makes at the time
DEPLOYMENT#<model> / CURRENT, DETAIL#<content>             the deployment record, and what its versions bring along
PROFILE#<model>#<version> / <start>#<sandbox>#<number>     profiles of live traffic
TRAFFIC#<model>#<version> / <start>#<sandbox>#<number>     how versions answered while one was tried
USAGE#<model> / <start>#<sandbox>#<number>                 what model servers use of what they run on
DRIFT#<model> / STATE, EVALUATION#<time>                   evaluations, of drift and of what else is watched
OUTCOMES#<model> / VERSION#<version>, OBJECT#<arrival>#<object>                    what was taken in
OUTCOMES#<model>#<version> / DAY#<day>, TAKEN#<day>#<object>, PREDICTED#<day>      sums of a day, and the objects in them
REACTION#<model> / LOCK, <execution>#<mark>                reactions
REPORT#<model> / <scheduled time>                          reports that were sent, or are under way

Every read is strongly consistent; there is no index. A mapping that may grow is packed in pages (pages.py).
"""
