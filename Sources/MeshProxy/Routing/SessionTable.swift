import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The sessions of one rule as a worker uses them: the endpoints of its backends by what stands for them in tokens.
///
/// Filled anew by the first request after a change of endpoints. Confined to one worker loop. No limit of its own: 40 bytes for each
/// endpoint of the rule's backends.
final class SessionTable {
  private struct Place {
    let share: Int
    let endpoint: EndpointRef
  }

  private let plan: SessionPlan
  /// Those of the rule, in its order.
  private let shares: [CompiledRule.Share]
  private var places: [UInt64: Place] = [:]
  /// `BackendEntry.revision` of each share when `places` was filled.
  private var revisions: [Int] = []

  init(_ policy: SessionPolicy, _ shares: [CompiledRule.Share]) {
    plan = SessionPlan(policy)
    self.shares = shares
  }

  /// The share that the request's session is with, whatever its weight; nil when the request begins a session, or the endpoint of
  /// its own may not be used.
  func begin(_ exchange: Exchange) -> CompiledRule.Share? {
    exchange.isFiltered = true
    exchange.session = SessionUse(table: self)
    guard let token = plan.find(in: exchange.request, now: Self.now) else { return nil }
    exchange.session?.event = .sessionMoved
    refresh()
    guard let place = places[token.endpoint],
      let endpoint = shares[place.share].entry.balancer.pin(place.endpoint, now: exchange.worker.loop.now)
    else { return nil }
    exchange.session = SessionUse(table: self, event: .sessionKept, token: token, endpoint: endpoint)
    return shares[place.share]
  }

  /// Tells the client of an answer where its session is, if it does not know.
  func tell(_ head: MessageHead, _ use: SessionUse, of exchange: Exchange) {
    // The proxy's own answers are no endpoint's.
    guard let answered = exchange.lastTicket, let backend = exchange.backend, let endpoint = exchange.endpoint else {
      return
    }
    let now = Self.now
    let isKept = use.endpoint.map { $0.isSameEndpoint(as: answered) } ?? false
    guard
      let token = plan.next(
        after: isKept ? use.token : nil, endpoint: plan.tag(of: endpoint.address, in: backend.key), now: now)
    else { return }
    plan.write(token, to: head, isTLS: exchange.downstream.isTLS, now: now)
  }

  /// A share that is answered by the proxy itself has no sessions.
  private func refresh() {
    guard !revisions.elementsEqual(shares.lazy.map(\.entry.revision)) else { return }
    revisions = shares.map(\.entry.revision)
    places.removeAll(keepingCapacity: true)
    for (index, share) in shares.enumerated() where share.failureStatus == nil {
      for (ref, endpoint) in share.entry.balancer.current {
        places[plan.tag(of: endpoint.address, in: share.entry.key)] = Place(share: index, endpoint: ref)
      }
    }
  }

  private static var now: UInt32 { UInt32(clamping: WallClock.now / 1_000) }
}

/// The session of one request.
struct SessionUse {
  let table: SessionTable
  var event = BackendEvent.sessionBegan
  /// What the client brought, where it still stands for `endpoint`.
  var token: SessionToken?
  var endpoint: EndpointRef?
}
