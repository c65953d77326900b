-- SPDX-License-Identifier: MIT
-- The specification of green.db, migrations, models and jobs, against a real PostgreSQL; what only PostgreSQL has: tests/db/postgres.
-- Needs: databases
local database = require "specification.database"
local dialects = require "specification.dialects"
local jobs = require "specification.jobs"
local migrations = require "specification.migrations"
local model = require "specification.model"
local postgres = require "peers.postgres"

local pg

setup(function() pg = postgres.start() end)
teardown(function() pg:close() end)

local dialect = dialects.postgres(function() return pg end)

describe("green.db on PostgreSQL", function() database(_ENV, dialect) end)
describe("migrations on PostgreSQL", function() migrations(_ENV, dialect) end)
describe("green.model on PostgreSQL", function() model(_ENV, dialect) end)
describe("jobs on PostgreSQL", function() jobs(_ENV, dialect) end)
