/** What the ledger keeps of a lead for later ones of the person, where its own engine does not say it, and through an upgrade. */
import { type Kysely, sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as tables from '../engine/store/migrations/0001_tables.ts'
import * as sightings from '../engine/store/migrations/0006_sightings.ts'
import { openPool, queriesOver } from '../engine/store/postgres.ts'
import { micros } from '../rules/units.ts'
import { final, intended, LedgerKit, received, result, soldSighting, type TestEngine } from './ledger-kit.ts'
import { freshDatabase } from './postgres.ts'

let kit: LedgerKit
let engine: TestEngine

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
})

afterAll(() => kit.close())

const conclude = (leadId: string) => kit.ask('select conclude_lead($1, $2, 1)', [engine.id, leadId])
const resolve = (leadId: string, state: 'accepted' | 'rejected') =>
  kit.ask(`select resolve_doubt($1, $2, 0, 'acme', $3, 'won', 'won', null, null, null, 'test')`, [
    engine.id,
    leadId,
    state,
  ])
const DOUBT = result({ state: 'in_doubt', payout: micros(14_000_000) })

test('of a lead whose engine died everybody may have been asked, and whoever was posted to may have it', async () => {
  const [shown, sold] = [received({ remembers: 2 }), received({ remembers: 2 })]
  await engine.ledger.received(shown)
  await conclude(shown.leadId)
  expect(await engine.ledger.sighting(shown.leadId)).toMatchObject({ level: 2, sold: [], asked: ['*'] })
  const leadId = await intended(engine, sold)
  await kit.ask(`update intents set state = 'accepted', reason = 'won', reason_name = 'won' where lead_id = $1`, [
    leadId,
  ])
  await conclude(leadId)
  const kept = { level: 3, sold: ['acme'], asked: ['*'], campaign: 'solar', fingerprints: sold.fingerprints }
  expect(await engine.ledger.sighting(leadId)).toMatchObject(kept)
})

test('where only sales count, nothing is kept of a lead that nobody may have', async () => {
  const row = received()
  await engine.ledger.received(row)
  await conclude(row.leadId)
  expect(await engine.ledger.lead(row.leadId)).toMatchObject({ status: 'expired' })
  expect(await engine.ledger.sighting(row.leadId)).toBeNull()
})

test('a doubt counts as had until it is resolved; then its buyer was shown the lead and no more', async () => {
  const [strict, lax] = [await intended(engine, { remembers: 2 }), await intended(engine)]
  for (const leadId of [strict, lax]) {
    const sighting = { ...soldSighting(leadId), asked: leadId === strict ? ['bolt'] : [] }
    await engine.ledger.result(final(leadId, [DOUBT], { status: 'pending', copies: 0, payout: micros(0), sighting }))
    expect(await engine.ledger.sighting(leadId)).toMatchObject({ level: 3, sold: ['acme'] })
    await resolve(leadId, 'rejected')
  }
  const kept = (await engine.ledger.sighting(strict))!
  expect({ ...kept, asked: [...kept.asked].sort() }).toMatchObject({ level: 2, sold: [], asked: ['acme', 'bolt'] })
  expect(await engine.ledger.sighting(lax)).toBeNull()
})

test('a doubt that was a sale stays had', async () => {
  const leadId = await intended(engine)
  const sighting = soldSighting(leadId)
  await engine.ledger.result(final(leadId, [DOUBT], { status: 'pending', copies: 0, payout: micros(0), sighting }))
  await resolve(leadId, 'accepted')
  expect(await engine.ledger.lead(leadId)).toMatchObject({ status: 'sold' })
  expect(await engine.ledger.sighting(leadId)).toMatchObject({ level: 3, sold: ['acme'] })
})

test('a lead that was claimed under an epoch that is over is not stored, nor its key bound, and finds itself where it was', async () => {
  const [{ epoch }] = (await kit.ask<{ epoch: number }>('select epoch from hot_store')) as [{ epoch: number }]
  const row = received({ claimEpoch: epoch, idempotency: { key: 'stale', bodyHash: 'h' } })
  await kit.ask('update hot_store set epoch = epoch + 1')
  expect(await engine.ledger.received(row)).toEqual({ code: 'STALE' })
  expect(await engine.ledger.lead(row.leadId)).toBeNull()
  expect(await engine.ledger.bound('stale')).toBeNull()
  expect(await engine.ledger.received({ ...row, claimEpoch: epoch + 1 })).toEqual({ code: 'STORED' })
  expect(await engine.ledger.received(row)).toEqual({ code: 'STORED' })
  expect(await engine.ledger.bound('stale')).toEqual({ leadId: row.leadId, bodyHash: 'h' })
})

test('what was sold before there were sightings is carried over, with its buyer and under its vertical', async () => {
  const { url, drop } = await freshDatabase()
  const pool = openPool({ url })
  const db = queriesOver(pool) as unknown as Kysely<unknown>
  const leadId = uuidv7()
  try {
    await tables.up(db)
    await pool.query('create table leads_all partition of leads default')
    await pool.query('create table intents_all partition of intents default')
    await pool.query(
      `insert into versions (number, canonical) values (1, '{"campaigns":{"roof":{"vertical":"solar"}}}')`,
    )
    await pool.query(
      `insert into leads (id, campaign, source, version, mode, test, received_at, keyed, fingerprints, bound_for_ms,
        currency, sealed, owner, status) values ($1, 'roof', 'demo', 1, 'sync', false, now(), false, $2, 1, 'USD', '', 1, 'sold')`,
      [leadId, [`roof:phone:${'p'.repeat(43)}`, `roof:email:${'m'.repeat(43)}`]],
    )
    await pool.query(
      `insert into intents (lead_id, contract, term, attempt, buyer, copy, state, bid, price, payout, held_at, post_by,
        post_ms, in_doubt, places, epoch, engine) values ($1, 'acme-1', 1, 1, 'acme', 0, 'accepted', 1, 1, 1, now(), now(),
        1, 'hold_unbilled', '[]', 1, 1)`,
      [leadId],
    )
    await pool.query(`insert into fingerprints select p, $1, now() + interval '9 days' from unnest($2::text[]) as p`, [
      leadId,
      [`roof:phone:${'p'.repeat(43)}`, `roof:email:${'m'.repeat(43)}`],
    ])
    await sightings.up(db)
    const { rows } = await sql<object>`select * from sightings`.execute(db)
    expect(rows).toMatchObject([{ lead_id: leadId, campaign: 'roof', level: 3, sold: ['acme'], asked: [] }])
    expect((rows[0] as { fingerprints: string[] }).fingerprints.sort()).toEqual([
      'solar:mmmmmmmmmmmm',
      'solar:pppppppppppp',
    ])
  } finally {
    await pool.end()
    await drop()
  }
})
