/** One engine process, put together: stores, recovery, buyers' wire, intake, doors. */
import { type Courier, createCourier } from '../buyers/courier.ts'
import { type Clock, createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { Contract, Snapshot } from '../rules/version.ts'
import { buyerPages } from './admin/buyer-page.ts'
import { adminData } from './admin/data.ts'
import type { AdminPort } from './admin/port.ts'
import { Alerts } from './alerts/alerts.ts'
import { letterOutbox } from './alerts/letters.ts'
import { assertAlone } from './alone.ts'
import { Balances } from './balances.ts'
import { Checks, type ChecksSettings } from './checks/checks.ts'
import { conceal, reveal } from './conceal.ts'
import { faultsInWords, type Reload } from './configuration/file.ts'
import { KeyUses } from './configuration/key-uses.ts'
import type { Following } from './configuration/ledger.ts'
import { Switchboard } from './configuration/switchboard.ts'
import { Inquiries } from './doubts/inquiries.ts'
import { createEdge, type Edge, type EdgeReply, type EdgeRequest } from './edge.ts'
import { type Env, listenOn } from './env.ts'
import { Exchanges } from './exchanges/keeper.ts'
import { keyOf } from './exchanges/proof.ts'
import { CannotStart, type Foundation } from './foundation.ts'
import { Hints } from './hints.ts'
import { answerMeta, takeGoogleLead, takeMetaLeads } from './inbound/ad-forms.ts'
import { type CallbackPorts, takeCallback } from './inbound/callbacks.ts'
import { takeInDialect } from './inbound/dialects.ts'
import { countRedirect, follow } from './inbound/redirects.ts'
import { takeForm } from './inbound/web-form.ts'
import { type IntakePorts, takeLead, takeLeadByGet } from './intake.ts'
import { Later } from './later.ts'
import { PostgresLedger } from './ledger.ts'
import { createLimiter } from './limiter.ts'
import { Lists } from './lists/lists.ts'
import { LiveLeads } from './live.ts'
import type { Log } from './log.ts'
import { Lookout } from './lookout.ts'
import { readLead } from './lookup.ts'
import type { Metrics } from './metrics.ts'
import { PostgresOffers } from './offers/ledger.ts'
import { takeOfferedLead, takePing } from './offers/offering.ts'
import type { OutboxEnd } from './outbox.ts'
import { Ownership } from './ownership.ts'
import { Portal } from './portal/portal.ts'
import { postbackOutbox, routePostbacks } from './postbacks.ts'
import { die } from './random.ts'
import { auctionAgain } from './reauction.ts'
import { Recovery } from './recovery.ts'
import { Releases } from './releases.ts'
import { Reporter } from './reports/reporter.ts'
import { keptMasterKeys } from './seal.ts'
import { readSpec } from './spec/route.ts'
import { MemoryStore } from './store/memory.ts'
import type { HotStore } from './store/port.ts'
import { openRedisStore } from './store/redis.ts'
import { splitWire, TEST_LANES } from './test-wire.ts'
import { Throttles } from './throttles.ts'
import { Warmth } from './warmth.ts'

export interface Engine {
  readonly origin: string
  /** What the admin plane shows of it. */
  readonly admin: AdminPort
  /** SHA-256 of each admin key in force. */
  readonly adminKeys: () => Snapshot['adminKeys']
  /** Takes no more leads, finishes those under way, writes what waits, and lets go of everything. */
  stop(): Promise<void>
}

export interface EngineOptions {
  readonly env: Env
  readonly foundation: Foundation
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Told when another engine has fenced this one: the process must end. */
  readonly fenced: () => void
}

/** What the parts of one engine share. `snapshot` is the version in force. */
interface Core extends EngineOptions {
  snapshot: Snapshot
  /** The version that is about to be in force, while what was sold under its caps is counted. */
  next: Snapshot | null
  draining: boolean
  readonly ownership: Ownership
  readonly ledger: PostgresLedger
  readonly hot: HotStore
  readonly wire: OpenBuyersWire
  readonly testWire: OpenBuyersWire
  readonly live: LiveLeads
  readonly hints: Hints
  readonly throttles: Throttles
  readonly balances: Balances
  readonly later: Later
  readonly releases: Releases
  readonly ports: IntakePorts
  readonly switchboard: Switchboard
  readonly reporter: Reporter
  readonly keyUses: KeyUses
  readonly lookout: Lookout
  readonly recovery: Recovery
  readonly inquiries: Inquiries
  readonly warmth: Warmth
  readonly courier: Courier
  readonly postbacks: ReturnType<typeof postbackOutbox>
  readonly letters: ReturnType<typeof letterOutbox>
  readonly alerts: Alerts
  readonly lists: Lists
  readonly portal: Portal
  readonly exchanges: Exchanges
}

/** Throws `CannotStart` with what to do where the operator can mend it. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const addresses = listenOn(options.env, options.foundation.snapshot.example)
  if ('faults' in addresses) {
    throw new CannotStart(addresses.faults.map(({ name, message }) => `${name} ${message}`).join('\n'))
  }
  const core = await openCore(options)
  const edge = await openEdge(core, addresses.host)
  const watch = watchVersions(core)
  return {
    origin: `http://${addresses.host}:${edge.port}`,
    admin: adminOf(core),
    adminKeys: () => core.snapshot.adminKeys,
    stop: () => stopAll(core, edge, watch),
  }
}

async function openCore(options: EngineOptions): Promise<Core> {
  const { env, foundation, clock, log } = options
  const note = (text: string): void => log('note', { text })
  const { db, databaseUrl, snapshot } = foundation
  const redis = env.redisUrl === null ? null : await openRedisStore({ url: env.redisUrl, log: note })
  if (redis === null && env.databaseUrl !== null) await assertAlone(db, clock, note)
  const ownership = await Ownership.register({
    db,
    clock,
    alone: redis === null,
    fenced: () => void options.fenced(),
    log: note,
  })
  const hot = redis ?? new MemoryStore(String(ownership.engine))
  const ledger = await PostgresLedger.open({ url: databaseUrl, engine: ownership.engine, clock, log: note })
  const live = new LiveLeads(env.maxInFlight)
  const wire = createBuyersWire({ clock, allowedCidrs: snapshot.allowedCidrs })
  const testWire = createBuyersWire({
    ...{ clock, allowedCidrs: snapshot.allowedCidrs },
    pings: TEST_LANES,
    posts: TEST_LANES,
  })
  const switchboard = new Switchboard(db)
  await switchboard.follow(foundation.news)
  const balances = new Balances({ db, hot, clock, snapshot: () => core.snapshot, log: note })
  const throttles = new Throttles({ clock, store: hot, share: () => core.lookout.share })
  const throttled = (contract: Contract) => throttles.fullWindow(contract)
  const hints = new Hints(clock, wire.refuses, () => switchboard.now, throttled)
  const [later, releases] = [new Later(clock), new Releases(clock)]
  const lookout = new Lookout(db, clock, hints)
  const hotLater = (act: () => Promise<unknown>) => later.add(act)
  const recovery = new Recovery({
    ...{ db, hot, clock, ownership, hotLater, pool: foundation.pool, log: note },
    snapshot: () => core.next ?? core.snapshot,
    isLive: (leadId) => live.has(leadId),
    auctionAgain: (lead) => auctionAgain(core.ports, lead),
    conceal: (leadId, text) => conceal(foundation.sealer, leadId, text),
  })
  const warmth = new Warmth({
    clock,
    rebuild: () => recovery.rebuild(),
    warmed: () => releases.repeat((again) => later.add(again)),
    log: note,
  })
  const beside = await openBeside(options, () => core.snapshot)
  const alerts = alertsOf(options, { hot, wire, balances, ownership, switchboard, snapshot: () => core.snapshot })
  const portal = portalOf(options, hot, () => core)
  const { exchanges } = beside
  const inquiries = inquiriesOf(options, { wire, ownership, recovery, exchanges, snapshot: () => core.snapshot })
  const parts = {
    ...{ ...beside, portal, alerts, switchboard, ownership, ledger, hot, wire, testWire, live },
    ...{ hints, throttles, balances, later, releases, lookout, recovery, inquiries, warmth },
  }
  const core: Core = { ...options, ...parts, snapshot, next: null, draining: false, ports: {} as IntakePorts }
  Object.assign(core.ports, intakePorts(core))
  hot.onCold(() => warmth.turnedCold())
  warmth.turnedCold()
  await warmth.wait()
  await Promise.all([recovery.start(), lookout.start(), balances.start()])
  core.reporter.start()
  core.postbacks.start()
  core.letters.start()
  core.alerts.start()
  core.inquiries.start()
  return core
}

function portalOf({ env, foundation, clock, log }: EngineOptions, hot: HotStore, core: () => Core): Portal {
  const { databaseUrl, vault, sealer, configuration } = foundation
  return new Portal({
    ...{ databaseUrl, clock, hot, vault, sealer, log, governs: configuration.inLedger },
    mayServeExample: 'host' in listenOn(env, true),
    snapshot: () => core().snapshot,
    share: () => core().lookout.share,
    keyUsed: (sha256) => core().keyUses.used(sha256),
  })
}

/** What works beside the hot path. */
async function openBeside(options: EngineOptions, snapshot: () => Snapshot) {
  const { env, foundation, clock, log, metrics } = options
  const note = (text: string): void => log('note', { text })
  const { db, databaseUrl, sealer } = foundation
  const courier = createCourier({ clock, allowedCidrs: foundation.snapshot.allowedCidrs })
  const ended = (outbox: string, end: OutboxEnd) => metrics.told(outbox, end)
  const postbacks = postbackOutbox({ ...{ db, clock, courier, snapshot, ended }, seal: sealer, log: note })
  await routePostbacks(db, foundation.snapshot)
  const letters = letterOutbox({ db, clock, courier, snapshot, ended, log: note })
  const reporter = new Reporter({ db, sealer, clock, log: note })
  const exchanges = new Exchanges({
    ...{ url: databaseUrl, clock, metrics, pings: env.pingDays > 0, log: note },
    keyOf: (leadId) => keyOf(db, sealer, leadId),
  })
  const lists = await openLists(options)
  return { courier, postbacks, letters, reporter, exchanges, keyUses: new KeyUses(db, clock), lists }
}

function alertsOf(
  { foundation, clock, log, metrics }: EngineOptions,
  parts: Pick<Core, 'hot' | 'wire' | 'balances' | 'ownership' | 'switchboard'> & { readonly snapshot: () => Snapshot },
): Alerts {
  const { hot, wire, balances, ownership, switchboard, snapshot } = parts
  return new Alerts({
    ...{ db: foundation.db, hot, clock, snapshot, engine: ownership.engine },
    balances: () => balances.lines(),
    sourcePaused: (source) => switchboard.now.sourcePaused(source, clock.wall()),
    health: () => wire.health(),
    begun: (alert, events) => metrics.events(alert, events),
    log: (text) => log('note', { text }),
  })
}

/** No lead is taken before every suppression list is read. */
async function openLists({ env, foundation, clock, log }: EngineOptions): Promise<Lists> {
  const { db, sealer: seal, snapshot } = foundation
  const masters = env.masterKeys ?? keptMasterKeys(env.dataDir)
  const lists = new Lists({ db, clock, seal, masters, log: (text) => log('note', { text }) })
  await lists.load(snapshot).catch((error: Error) => {
    throw new CannotStart(error.message)
  })
  lists.start()
  return lists
}

function intakePorts(core: Core): IntakePorts {
  const { clock, wire, hot, ledger, live, hints, later, releases, foundation, warmth, recovery, ownership, lookout } =
    core
  const { sealer } = foundation
  return {
    clock,
    wire: splitWire(wire, core.testWire),
    hot,
    ledger,
    live,
    hints,
    seal: sealer,
    offers: new PostgresOffers(foundation.db),
    exchanges: core.exchanges,
    suppressed: (campaign, lead) => core.lists.barred(campaign, lead),
    snapshot: () => core.snapshot,
    limiter: createLimiter({ clock, store: hot, share: () => lookout.share }),
    warm: () => warmth.wait(),
    hotLater: (act) => later.add(act),
    released: (again) => releases.note(again),
    mayAct: () => ownership.mayAct(),
    lateReply: (lead, seat, answer) => recovery.lateReply(lead, seat, answer),
    givenUp: (lead) => recovery.givenUp(lead),
    metrics: core.metrics,
    checks: checksOf(core),
    denied: (lead, contract) => hints.denied(contract, lead.campaign.id, lead.source.id, lead.wire.lead),
    keyUsed: (sha256) => core.keyUses.used(sha256),
    sourcePaused: (source) => core.switchboard.now.sourcePaused(source, clock.wall()),
    throttled: (contract) => core.throttles.take(contract),
    sawFull: (contract, window) => hints.sawFull(contract, window),
    conceal: (leadId, text) => conceal(sealer, leadId, text),
    reveal: (leadId, text) => reveal(sealer, leadId, text),
    dice: die,
  }
}

function checksOf({ clock, wire, metrics, lists, foundation }: Core): Checks {
  const listed: ChecksSettings['listed'] = (list, campaign, lead) => lists.names(list, campaign, lead)
  return new Checks({ clock, wire, metrics, seal: foundation.sealer, listed })
}

function inquiriesOf(
  { foundation, clock, log }: EngineOptions,
  parts: Pick<Core, 'wire' | 'ownership' | 'recovery' | 'exchanges'> & { readonly snapshot: () => Snapshot },
): Inquiries {
  const { wire, ownership, recovery, exchanges, snapshot } = parts
  const { db, sealer: seal } = foundation
  return new Inquiries({
    ...{ db, clock, wire, seal, exchanges, snapshot },
    resolve: (...verdict) => recovery.resolve(...verdict),
    conceal: (leadId, text) => conceal(seal, leadId, text),
    mayAct: () => ownership.mayAct(),
    log: (text) => log('note', { text }),
  })
}

function callbackPorts({ clock, foundation, recovery, snapshot, exchanges }: Core): CallbackPorts {
  return {
    ...{ clock, seal: foundation.sealer, snapshot },
    resolve: (...verdict) => recovery.resolve(...verdict),
    conceal: (leadId, text) => conceal(foundation.sealer, leadId, text),
    record: (leadId, tape) => void exchanges.heard(leadId, tape),
  }
}

function openEdge(core: Core, host: string): Promise<Edge> {
  const { env, clock, live, ports, metrics, log } = core
  const redirects = { ...ports, followed: (leadId: string) => countRedirect(core.foundation.db, leadId) }
  const handler = (request: EdgeRequest): EdgeReply | Promise<EdgeReply> => {
    switch (request.route) {
      case 'postLead':
        return takeLead(ports, request)
      case 'ping':
        return takePing(ports, request)
      case 'postOffered':
        return takeOfferedLead(ports, request)
      case 'getLead':
        return takeLeadByGet(ports, request)
      case 'form':
        return takeForm(ports, request)
      case 'googleLead':
        return takeGoogleLead({ ...ports, courier: core.courier }, request)
      case 'metaChallenge':
        return answerMeta(core.snapshot, request)
      case 'metaLeads':
        return takeMetaLeads({ ...ports, courier: core.courier }, request)
      case 'dialect':
        return takeInDialect(ports, request)
      case 'spec':
        return readSpec(core.snapshot, request)
      case 'readLead':
        return readLead(ports, request)
      case 'follow':
        return follow(redirects, request)
      case 'callback':
        return takeCallback(callbackPorts(core), request)
      case 'portal':
        return core.portal.take(request)
      default:
        return request.route satisfies never
    }
  }
  return createEdge({
    host,
    port: env.port,
    shared: env.workers > 1,
    clock,
    handler,
    ready: () => isReady(core),
    overloaded: () => live.full,
    answered: (status, took) => {
      metrics.answered(status)
      metrics.observe('answer', took)
    },
    fault: (fault) => log('request_failed', { fault }),
  })
}

function adminOf(core: Core): AdminPort {
  const { foundation, hot, metrics } = core
  metrics.buyers(() => core.wire.health())
  metrics.alerts(() => core.alerts.open)
  for (const name of Object.keys(queuesOf(core))) metrics.queue(name, () => queuesOf(core)[name]!)
  return adminData({
    db: foundation.db,
    hot,
    sealer: foundation.sealer,
    resolve: (leadId, which, verdict, by) => core.recovery.resolve(leadId, which, verdict, by),
    metrics: () => metrics.text(),
    ready: () => isReady(core),
    version: () => core.snapshot.version,
    queues: () => queuesOf(core),
    buyers: () => buyerPages(core.ownership.engine, core.wire.health()),
  })
}

/** What waits or is under way, by name. */
function queuesOf(core: Core): Record<string, number> {
  const { pings, posts, checks } = core.wire.stats()
  return {
    leads: core.live.size,
    ledger: core.ledger.stats().waiting,
    hot_later: core.later.size,
    pings: pings.inFlight,
    posts: posts.inFlight,
    exchanges: core.exchanges.waiting,
    checks: checks.inFlight,
  }
}

/** Leads are taken while each can be recorded, held and posted. */
function isReady(core: Core): boolean {
  const { draining, ledger, warmth, foundation, ownership, recovery } = core
  return (
    !draining &&
    ledger.writable() &&
    warmth.admits &&
    foundation.partitions.ready() &&
    recovery.ready() &&
    ownership.mayAct()
  )
}

/** Puts each good version in force as it is saved or published. */
function watchVersions(core: Core): Following {
  const { foundation, log } = core
  return foundation.configuration.follow({
    current: core.snapshot,
    changed: (snapshot) => putInForce(core, snapshot),
    report: (reload) =>
      log(reload.kind === 'faulty' ? 'warning' : 'note', {
        text: reloadInWords(foundation.configuration.name, reload),
      }),
  })
}

/** A version that brings a new cap goes live when the hot store has counted what was sold under it. */
async function putInForce(core: Core, snapshot: Snapshot): Promise<void> {
  await core.lists.load(snapshot)
  core.next = snapshot
  core.warmth.turnedCold()
  const warm = await core.warmth.wait()
  core.next = null
  if (!warm) throw new Error('the hot store is cold')
  await routePostbacks(core.foundation.db, snapshot)
  core.wire.follow(snapshot)
  core.testWire.follow(snapshot)
  core.courier.allow(snapshot.allowedCidrs)
  core.ports.limiter.keep(snapshot.sources)
  core.portal.keep(snapshot)
  core.snapshot = snapshot
}

function reloadInWords(name: string, reload: Reload): string {
  switch (reload.kind) {
    case 'changed':
      return `the configuration ${name} is in force as version ${reload.snapshot.version}`
    case 'unchanged':
      return `the configuration ${name} says what is in force already`
    case 'faulty':
      return faultsInWords(name, reload.faults, 'The version before stays in force.')
    case 'deferred':
      return `the configuration ${name} could not be put in force yet: ${reload.error.message}`
    default:
      return reload satisfies never
  }
}

async function stopAll(core: Core, edge: Edge, watch: Following): Promise<void> {
  const { clock, env, live, wire, ledger, hot, later, ownership, lookout, balances, recovery, warmth } = core
  core.draining = true
  watch.close()
  await new Promise<void>((waited) => clock.after(ms(env.unreadyMs), waited))
  edge.stopListening()
  const patience = new Promise<void>((waited) => clock.after(ms(env.drainMs), waited))
  await Promise.race([Promise.all([live.empty(), edge.drained()]), patience])
  lookout.stop()
  balances.stop()
  await Promise.all([core.reporter.stop(), core.keyUses.stop()])
  core.lists.stop()
  await Promise.all([recovery.stop(), core.postbacks.stop(), core.inquiries.stop()])
  await Promise.all([core.letters.stop(), core.alerts.stop()])
  await core.courier.close()
  await core.portal.close()
  warmth.close()
  later.close()
  edge.close()
  await Promise.all([wire.close(), core.testWire.close()])
  await core.exchanges.stop()
  await ledger.close()
  await ownership.stop()
  await hot.close()
}
