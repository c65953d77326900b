---@meta green.jobs
-- SPDX-License-Identifier: MIT

---Jobs: work that must happen after the answer, and survive a crash. They are rows in the application's own database, SQLite or
---PostgreSQL: one that is enqueued in a transaction is there once that is committed, and never was if it is rolled back.
---
---Each runs at least once: again, later and later, when its function raises, is out of time, or its process dies. So a function may find
---that it did half of its work before; `job.id` tells it, and others, that the work is the same: give it on as an idempotency key, or
---say `job:complete()` in a transaction, with which what that changes happens exactly once.
---
---Who works on them: each process that serves an app which defines some (`app:database(db)` says where they are), up to 10 at once.
---`GREENLUA_JOBS=off` in the environment says that this one does not, `GREENLUA_JOBS=50` how many at once. A script says `jobs.start()`.
---Several processes, on any number of machines, share the work. A process works on the jobs that it defines, and leaves others alone.
---
---* Running jobs have a lease of 60 s, which their process renews, however long they take. When it is dead others take them over.
---* A process that is told to stop takes no more jobs; those that run have until `--grace` is over, and are then cancelled and given back,
---  for others to take at once.
---* Processes look for jobs every second (`poll`), and at once for what is enqueued in the same process.
---* A job that has failed more often than `retries` is dead: it stays, with its error, until it is retried or dropped.
---* Errors are logged with the job's name, its id, the attempt and a traceback. Tasks of jobs are called "job receipt 12" (`.tasks`, SIGUSR1).
---* While the database is away jobs wait, and what runs goes on; that it is away, and that it is back, is logged.
---* `greenlua jobs app.lua` lists, shows, retries and drops them; `greenlua jobs app.lua work` is a process that only works.
---* The tables `green_jobs` and `green_jobs_cron` are made when they are first needed.
---
---Raises, in all that asks the database: what a statement raises; a message without a database.
---```lua
---local jobs = require "green.jobs"
---jobs.configure { db = db }
---jobs.define("receipt", function(args, job) print("receipt", args.order, job.attempt) end)
---jobs.enqueue("receipt", { order = 1 })
---jobs.drain() --> receipt  1  1
---```
---@class green.jobs
local jobs = {}

---@class green.jobs.define_options
---@field retries? integer how often it may fail and run again (20: with the default pauses, for two and a half days)
---@field backoff? number|fun(failures: integer): number seconds before it runs again (10): the first time; twice as long each time, up to six hours, and up to a quarter more or less. Or a function of how often it has failed
---@field timeout? number seconds for a run (300), after which its waits and loops raise EDEADLINE; math.huge: none

---What jobs of this name do. The function gets the arguments, and the job itself. What it returns is not kept; when it raises, the job
---runs again later.
---Does not wait.
---Raises: a message for a name that a function in another file has.
---```lua
---jobs.define("receipt", function(args)
---  http.post(site .. "/orders", { json = args }):raise_for_status()
---end, { retries = 5, timeout = 20 })
---```
---@param name string letters, digits and `_ - . : /`
---@param fn fun(args: any, job: green.Job)
---@param options? green.jobs.define_options
function jobs.define(name, fn, options) end

---@class green.jobs.enqueue_options
---@field run_at? number when, in seconds as os.time() counts them (now); the clock is the database's
---@field delay? number in how many seconds, instead of `run_at`
---@field unique? string|boolean a key: while a job of the same name and key waits or runs, no other is enqueued. true: the arguments, as JSON

---Has a job run, after the answer, in this process or another. Within db:transaction it is part of that, and begins once it is committed.
---Waits for the database.
---Raises: a message for a name that is not defined, and for arguments that JSON cannot say, or of more than 1 MiB; EAGAIN.
---```lua
---jobs.configure { db = db }
---jobs.define("remind", function(args) print("remind", args.user) end)
---print(jobs.enqueue("remind", { user = "ann" }, { delay = 3600, unique = "ann" })) --> 1  true
---print(jobs.enqueue("remind", { user = "ann" }, { delay = 7200, unique = "ann" })) --> 1  false
---```
---@param name string
---@param args? any what JSON can say
---@param options? green.jobs.enqueue_options
---@return integer id which no other job gets, also when this one is done
---@return boolean new false: the id is that of the one with the same unique key
function jobs.enqueue(name, args, options) end

---@class green.jobs.cron_options
---@field overlap? boolean also while the one before waits or runs (false)

---Has a job run by the clock, in UTC: minute, hour, day of the month, month, day of the week, with `*`, lists `1,15`, ranges `mon-fri`
---and steps `*/10`; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
---It is enqueued once, however many processes say this, within a second (`poll`) by one of those that work. Of times that have passed while
---no process worked the last one counts, and the job runs once then. An entry that is new begins with its next time; one whose expression or
---arguments have changed is new.
---Does not wait.
---Raises: a message for an expression that cannot be understood or never comes, for a job that is not defined, and for arguments of more
---than 400 bytes as JSON.
---```lua
---jobs.define("report", function(args) print("report", args.kind) end)
---jobs.cron("30 3 * * mon-fri", "report", { kind = "sales" })
---jobs.cron("@hourly", "report", { kind = "stock" })
---```
---@param expression string
---@param name string
---@param args? any what JSON can say
---@param options? green.jobs.cron_options
function jobs.cron(expression, name, args, options) end

---@class green.jobs.configure_options
---@field db? green.db.Database where the jobs are (that of app:database)
---@field concurrency? integer jobs that run at once in this process (10); 0: none. `GREENLUA_JOBS` goes before it
---@field poll? number seconds between two looks at the database (1)
---@field lease? number seconds after which another process takes over what a dead one has left (60); renewed every third of it

---Says which database, and how this process works. What is not given stays as it is.
---Does not wait.
---```lua
---jobs.configure { db = db, concurrency = 20 }
---```
---@param options green.jobs.configure_options
function jobs.configure(options) end

---Starts to work on the jobs that are defined, in the background: a script does not go on for their sake, and gives back what runs when it
---ends. An app that is served does so by itself.
---Does not wait.
---Raises: EINVAL for what `GREENLUA_JOBS` cannot be; a message without a database.
---```lua
---jobs.configure { db = db }
---print(jobs.start()) --> true
---jobs.stop()
---```
---@return boolean works false: this process is to have no jobs
function jobs.start() end

---Stops working: nothing more is begun. What runs may go on for `grace` seconds, and is then cancelled and given back.
---Waits until nothing runs.
---```lua
---jobs.configure { db = db }
---jobs.start()
---jobs.stop(2)
---```
---@param grace? number seconds (10)
function jobs.stop(grace) end

---Runs what is due until nothing is, here and now: for tests, and for scripts that are started by others. What fails is not repeated
---before its pause is over.
---Waits until all have run.
---```lua
---jobs.configure { db = db }
---jobs.define("count", function(args) print("count", args) end)
---jobs.enqueue("count", 1)
---jobs.enqueue("count", 2, { delay = 60 })
---print(jobs.drain()) --> count  1
-----> 1
---```
---@return integer runs
function jobs.drain() end

---@class green.jobs.row
---@field id integer
---@field name string
---@field args any
---@field unique? string
---@field state "waiting"|"running"|"dead"
---@field due number when it may run; while it runs, when its lease ends; dead: since when
---@field attempt integer how often it was begun
---@field failures integer
---@field worker? string while it runs: HOST/PROCESS/...
---@field error? string why it failed last, with the traceback
---@field enqueued number

---@class green.jobs.list_filter
---@field id? integer
---@field name? string
---@field state? "waiting"|"running"|"dead"
---@field limit? integer (100)

---The jobs that are not done, those first that are due first.
---Waits for the database.
---```lua
---jobs.configure { db = db }
---jobs.define("remind", function() end)
---jobs.enqueue("remind", { order = 1 }, { delay = 60 })
---for _, job in ipairs(jobs.list { state = "waiting" }) do
---  print(job.id, job.name, job.args.order, job.attempt) --> 1  remind  1  0
---end
---```
---@param filter? green.jobs.list_filter
---@return green.jobs.row[]
function jobs.list(filter) end

---How many there are, by name and state.
---Waits for the database.
---```lua
---jobs.configure { db = db }
---jobs.define("tidy", function() end)
---jobs.enqueue "tidy"
---print(jobs.count().tidy.waiting) --> 1
---```
---@return table<string, { waiting: integer, running: integer, dead: integer }>
function jobs.count() end

---@class green.jobs.filter
---@field id? integer
---@field name? string
---@field state? "waiting"|"running"|"dead"

---Lets dead jobs, and those that wait, run at once, as if they had not failed yet.
---A dead one stays dead while another one has its unique key.
---Waits for the database.
---```lua
---jobs.configure { db = db }
---print(jobs.retry { state = "dead" }) --> 0
---```
---@param which integer|green.jobs.filter an id, or all that a filter finds
---@return integer n
function jobs.retry(which) end

---Removes jobs. One that runs is cancelled when its process next renews its lease.
---Waits for the database.
---```lua
---jobs.configure { db = db }
---jobs.define("tidy", function() end)
---print(jobs.drop(jobs.enqueue("tidy", nil, { delay = 60 }))) --> 1
---```
---@param which integer|green.jobs.filter an id, or all that a filter finds
---@return integer n
function jobs.drop(which) end

---What a job's function gets, beside the arguments.
---```lua
---jobs.configure { db = db }
---jobs.define("show", function(_, job) print(job.name, job.attempt, job.failures, job.retries) end)
---jobs.enqueue "show"
---jobs.drain() --> show  1  0  20
---```
---@class green.Job
---@field id integer the same in each attempt, and no other job's
---@field name string
---@field attempt integer 1 when it runs for the first time
---@field failures integer how often it has failed
---@field retries integer how often it may
---@field enqueued number when, in seconds as os.time() counts them
local Job = {}

---Says that the job is done, in the transaction of the caller, once: both are committed, or neither. So what the transaction changes
---happens exactly once, whatever happens to the process. Outside of a transaction it is done at once.
---Waits for the database.
---Raises: ESTALE when another attempt has begun meanwhile, which is what rolls this transaction back.
---```lua
---jobs.configure { db = db }
---jobs.define("take", function(args, job)
---  db:transaction(function()
---    db:exec("UPDATE stock SET n = n - 1 WHERE item = $1", args.item)
---    job:complete()
---  end)
---end)
---jobs.enqueue("take", { item = "dough" })
---jobs.drain()
---print(db:value "SELECT n FROM stock") --> 4
---```
function Job:complete() end

return jobs
