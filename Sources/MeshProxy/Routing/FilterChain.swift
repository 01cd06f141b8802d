import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime

/// The filters of one rule, or of one backend of it, ready for use. Confined to one worker loop.
///
/// The order of work is fixed: what answers in the backend's place, header fields, rewrite, mirrors; on the response header
/// fields, then CORS, which has the last word.
final class FilterChain {
  private let redirect: CompiledRedirect?
  private let cors: CompiledCORS?
  private let rewrite: CompiledRewrite?
  private let requestHeaders: CompiledHeaderFilter
  private let responseHeaders: CompiledHeaderFilter
  private var mirrors: [Mirror] = []

  /// Where copies of some requests go.
  struct Mirror {
    var share: MirrorShare
    let backend: BackendEntry
    /// Stands for the mirror in metrics and logs, and holds the time limits that the copy shares with its original.
    let rule: CompiledRule
  }

  /// Nil when there is nothing to do, so that a rule without filters costs a look at a pointer.
  init?(_ filters: [RouteFilter], of rule: RouteRule, worker: ProxyWorker) {
    if filters.isEmpty { return nil }
    var redirect: CompiledRedirect?
    var cors: CompiledCORS?
    var rewrite: CompiledRewrite?
    for filter in filters {
      switch filter {
      case .headers: break
      case .redirect(let filter): redirect = CompiledRedirect(filter)
      case .cors(let policy): cors = CompiledCORS(policy)
      case .rewrite(let filter): rewrite = CompiledRewrite(filter)
      case .mirror(let filter):
        let standIn = RouteRule(name: rule.name + "/mirror", backends: [], timeouts: rule.timeouts)
        mirrors.append(
          Mirror(
            share: MirrorShare(filter, start: worker.loop.random.next()), backend: worker.backend(filter.backend),
            rule: CompiledRule(standIn, of: filter.backend, worker: worker)))
      }
    }
    self.redirect = redirect
    self.cors = cors
    self.rewrite = rewrite
    requestHeaders = CompiledHeaderFilter(filters.headerFilters, direction: .request)
    responseHeaders = CompiledHeaderFilter(filters.headerFilters, direction: .response)
  }

  // MARK: - Request

  /// Answers preflights and redirects. False: the request goes on.
  func answers(_ exchange: Exchange, _ service: ServicePort) -> Bool {
    let (request, reply) = (exchange.request, exchange.worker.replyHead)
    exchange.isFiltered = true
    if let cors {
      let verdict = cors.judge(origin: request.value(.origin))
      if CompiledCORS.isPreflight(request) {
        reply.reset()
        reply.status = 204
        cors.answerPreflight(request, verdict, into: reply)
        exchange.answer(with: reply)
        return true
      }
      exchange.corsVerdict = verdict
      exchange.origin = request.value(.origin).map { request.intern($0) } ?? .empty
      // What is answered from here on says so, whoever answers.
      exchange.corsFilter = self
    }
    guard let redirect else { return false }
    reply.reset()
    reply.status = redirect.status
    redirect.writeLocation(for: request, to: service, into: reply)
    if !responseHeaders.isEmpty { exchange.addResponseFilter(self) }
    exchange.filterResponse(reply)
    exchange.answer(with: reply)
    return true
  }

  /// Changes the request and sends its copies.
  func apply(to exchange: Exchange) {
    let request = exchange.request
    if exchange.asked == nil { exchange.asked = AskedFor(path: request.path, authority: request.authority) }
    if !requestHeaders.isEmpty { requestHeaders.apply(to: request) }
    rewrite?.apply(to: request)
    if !responseHeaders.isEmpty { exchange.addResponseFilter(self) }
    // What follows a handshake belongs to one server.
    guard !mirrors.isEmpty, !exchange.isUpgrade else { return }
    for i in mirrors.indices where mirrors[i].share.next() { exchange.mirror(to: mirrors[i]) }
  }

  // MARK: - Response

  func applyHeaders(to response: MessageHead) { responseHeaders.apply(to: response) }

  func markOrigin(_ response: MessageHead, _ exchange: Exchange) {
    cors?.decorate(response, origin: exchange.request.bytes(exchange.origin), exchange.corsVerdict)
  }
}

/// What the client asked for before filters changed it: ranges of the request head.
struct AskedFor {
  var path: MessageHead.Slice
  var authority: MessageHead.Slice
}

extension Exchange {
  /// The rule's comes before its backend's.
  func addResponseFilter(_ chain: FilterChain) {
    if filters == nil { filters = chain } else { backendFilters = chain }
  }

  func filterResponse(_ head: MessageHead) {
    filters?.applyHeaders(to: head)
    backendFilters?.applyHeaders(to: head)
    if let issuedCookie { head.append(name: "set-cookie", value: issuedCookie.field) }
    if let session { session.table.tell(head, session, of: self) }
    corsFilter?.markOrigin(head, self)
    externalCheck?.verdict?.apply(toResponse: head)
  }

  /// Lets the page that asked read an answer of the proxy's own.
  func markOrigin(_ head: MessageHead) { corsFilter?.markOrigin(head, self) }
}
