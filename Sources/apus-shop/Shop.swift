import NIOCore
import NIOHTTP1
import NIOPosix

/// One service of the shop, on one event loop.
struct Shop: Sendable {
  let options: ShopOptions

  init(_ options: ShopOptions) { self.options = options }

  func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let client = try await loop.submit { ShopClient(loop: loop) }.get()
    let responder = try makeResponder(loop: loop, client: client)
    let server = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: true)
          try channel.pipeline.syncOperations.addHandler(ShopServerHandler(respond: responder))
        }
      }
      .bind(host: options.address, port: options.port).get()
    printLine("\(options.role) listens on \(options.address):\(options.port)")
    if options.role == .load {
      try await loop.flatSubmit { [options] in Load.run(options, client: client, loop: loop) }.get()
    } else {
      try await server.closeFuture.get()
    }
    // The loop is not shut down: the process ends now, and answers may still be under way.
  }

  // MARK: - Services

  private func makeResponder(
    loop: any EventLoop, client: ShopClient
  ) throws
    -> @Sendable (String) -> EventLoopFuture<ShopAnswer>
  {
    let options = options
    let work: @Sendable (String) -> EventLoopFuture<ShopAnswer>
    switch options.role {
    case .web:
      let orders = try ShopTarget.service("orders")
      let catalog = try ShopTarget.service("catalog")
      work = { _ in
        client.get(orders, path: "/orders/latest").and(client.get(catalog, path: "/items")).map { order, items in
          Self.page(order, items)
        }
      }
    case .orders:
      let payments = try ShopTarget.service("payments")
      work = { _ in
        client.get(payments, path: "/payments/last").map { payment in
          guard payment.status == 200 else {
            return ShopAnswer(status: .badGateway, version: options.version, json: #"{"error":"payments failed"}"#)
          }
          return ShopAnswer(
            version: options.version,
            json: #"{"order":1001,"version":"\#(Self.escape(options.version))","payment":\#(Self.trim(payment.body))}"#)
        }
      }
    case .catalog:
      work = { _ in
        loop.makeSucceededFuture(
          ShopAnswer(json: #"{"items":[{"name":"swift","price":3},{"name":"martin","price":2}]}"#))
      }
    case .payments:
      work = { _ in loop.makeSucceededFuture(ShopAnswer(json: #"{"paid":true,"method":"card"}"#)) }
    case .load:
      work = { _ in loop.makeSucceededFuture(ShopAnswer(json: #"{"load":"\#(options.requestsPerSecond) rps"}"#)) }
    }
    return { path in Self.delayed(options, loop: loop) { work(path) } }
  }

  private static func page(_ order: ShopClient.Answer, _ items: ShopClient.Answer) -> ShopAnswer {
    guard order.status == 200, items.status == 200 else {
      let json = #"{"error":"upstream failed","orders":\#(order.status),"catalog":\#(items.status)}"#
      return ShopAnswer(status: .badGateway, json: json)
    }
    return ShopAnswer(
      version: order.version, json: #"{"order":\#(trim(order.body)),"catalog":\#(trim(items.body))}"#)
  }

  /// The configured slowness and errors of a service.
  private static func delayed(
    _ options: ShopOptions, loop: any EventLoop, _ work: @escaping @Sendable () -> EventLoopFuture<ShopAnswer>
  ) -> EventLoopFuture<ShopAnswer> {
    if options.errorPercent > 0, Int.random(in: 0..<100) < options.errorPercent {
      return loop.makeSucceededFuture(
        ShopAnswer(status: .internalServerError, version: options.version, json: #"{"error":"a bug of this version"}"#))
    }
    guard options.latencyMs > 0 else { return work() }
    let microseconds = Int64(options.latencyMs) * Int64.random(in: 750...1250)
    return loop.scheduleTask(in: .microseconds(microseconds)) {}.futureResult.flatMap { work() }
  }

  private static func trim(_ json: String) -> Substring { json.last == "\n" ? json.dropLast() : json[...] }

  /// Text inside a JSON string.
  static func escape(_ text: String) -> String {
    String(text.unicodeScalars.map { $0 == "\"" || $0 == "\\" || $0.value < 0x20 ? "'" : Character($0) })
  }
}
