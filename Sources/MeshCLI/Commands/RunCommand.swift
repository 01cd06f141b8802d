internal import ArgumentParser
internal import Foundation
internal import MeshCore
internal import MeshPolicy

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a program in the mesh, with a proxy beside it.",
    discussion: """
      Registers a workload of SERVICE, starts its proxy, waits until the proxy is ready, then starts the program. The
      workload takes traffic once the program accepts connections on its first port. The program finds in its
      environment:
        http_proxy, HTTP_PROXY        the proxy; http://SERVICE.NAMESPACE URLs go through the mesh
        APUS_UPSTREAM_<NAME>          URL of each --upstream, for clients that know no proxies
        APUS_WORKLOAD, APUS_WORKLOAD_ADDRESS, APUS_SERVICE, APUS_NAMESPACE

      SIGTERM and SIGINT first take the workload out of the mesh, then go to the program; a second one goes at once.
      SIGHUP, SIGUSR1 and SIGUSR2 are passed on. A proxy that dies is restarted; the program never is. When the program
      ends, so does everything it left running in its process group.

      EXAMPLES
        apus run --service web --port 8080 --upstream orders -- python3 -m http.server --bind 127.0.0.1 8080
        apus run --service orders --namespace shop --label version=v2 --port 9000 -- ./orders
        apus run --service web --join-token-file web.join --port 8080 -- ./web
        apus run --service batch --listen 127.0.0.1:8081=orders.shop:80 -- ./batch

      EXIT CODES
        the program's own, or 128 + the signal that killed it
        1    registration refused, or the proxy could not be started
        64   wrong arguments
        75   the mesh was not ready in time; the program was not started
        126, 127  the program could not be started, or was not found
      """)

  @Option(help: "The service this program is a workload of.")
  var service: String

  @Option(name: [.customShort("n"), .long], help: "Namespace of the service.")
  var namespace = "default"

  @Option(help: "Service account, the identity the workload runs as. Default: the service's name.")
  var serviceAccount: String?

  @Option(
    name: .customLong("port"), help: "A port the program listens on (repeat for more); the first tells readiness.")
  var ports: [UInt16] = []

  @Option(name: .customLong("label"), help: ArgumentHelp("A label (repeat for more).", valueName: "key=value"))
  var labels: [String] = []

  @Option(help: "The zone it runs in, as the label topology.kubernetes.io/zone; for policies that prefer zones.")
  var zone: String?

  @Option(help: "The zone's region, as the label topology.kubernetes.io/region.")
  var region: String?

  @Option(help: "IPv4 address the program listens on, or \"workload\" for the workload's own ($APUS_WORKLOAD_ADDRESS).")
  var appAddress = "127.0.0.1"

  @Option(
    name: .customLong("upstream"),
    help: ArgumentHelp("A service the program calls by $APUS_UPSTREAM_<NAME>.", valueName: "name[.ns][:port]"))
  var upstreams: [String] = []

  @Option(
    name: .customLong("listen"),
    help: ArgumentHelp("A local address that leads to a service.", valueName: "local=service:port"))
  var listeners: [String] = []

  @Option(help: "Worker threads of the proxy. Default: one per core, at most 4.")
  var workers: Int?

  @Option(
    name: .customLong("dns-server"),
    help: ArgumentHelp(
      "A server that the proxy asks for names outside the mesh. May be repeated. Default: those of the machine.",
      valueName: "ip[:port]"))
  var dnsServers: [String] = []

  @Option(help: "The proxy's access log: off, sampled, sampled=RATE (0 to 1) or all.")
  var accessLog = "off"

  @Option(help: "Seconds to wait for the control plane and the proxy before the program is started.")
  var readyTimeout = 30.0

  @Option(help: "Seconds between leaving the mesh and the program's SIGTERM.")
  var drainDelay = 1.0

  @Option(help: "Seconds the whole drain may take before the program is killed.")
  var drainTimeout = 30.0

  @Option(
    help: ArgumentHelp(
      "Join with what apus identity token create wrote: for accounts that cannot open the control socket.",
      discussion: "Only a file, which must be its owner's alone: everybody can read the command lines of processes.",
      valueName: "file"))
  var joinTokenFile: String?

  @OptionGroup var state: StateOptions

  @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.")
  var program: [String] = []

  func validate() throws {
    do { _ = try options() } catch let failure as FlagFailure { throw ValidationError(failure.description) }
  }

  func run() async throws {
    var options = try options()
    options.joinFile = try joinTokenFile.map { try JoinFile.read($0) }
    let session = try RunSession(
      options: options, directory: state.directory(), environment: ProcessInfo.processInfo.environment)
    let code = await session.run()
    Foundation.exit(code)
  }

  /// The flags, checked.
  func options() throws -> RunOptions {
    guard !program.isEmpty else {
      throw FlagFailure("no program; write it after --, as: apus run --service web --port 8080 -- ./web")
    }
    for (flag, value) in [("--service", service), ("--namespace", namespace)] where !ServiceName.isLabel(value) {
      throw FlagFailure("\(flag) \"\(value)\" is not a name of lower-case letters, digits and hyphens")
    }
    let account = serviceAccount ?? service
    guard SPIFFEID("spiffe://cluster.local/ns/\(namespace)/sa/\(account)") != nil else {
      throw FlagFailure(
        "--service-account \"\(account)\" is not a name of lower-case letters, digits, hyphens and dots")
    }
    guard !ports.contains(0) else { throw FlagFailure("--port 0 is not a port (1-65535)") }
    guard RunOptions.isAccessLog(accessLog) else {
      throw FlagFailure("--access-log \"\(accessLog)\" is none of off, sampled, sampled=RATE, all")
    }
    guard workers.map({ (1...64).contains($0) }) ?? true else { throw FlagFailure("--workers takes 1 to 64") }
    guard appAddress == RunOptions.ownAddress || SocketAddress(appAddress, defaultPort: 1)?.isIPv4 == true else {
      throw FlagFailure("--app-address \"\(appAddress)\" is neither an IPv4 address nor \"workload\"")
    }
    var options = RunOptions(
      service: service, namespace: namespace, serviceAccount: account, ports: ports, program: program)
    options.labels = try allLabels()
    options.appAddress = appAddress
    options.upstreams = try upstreams.map { text in
      try prefixed("--upstream") { () throws(FlagFailure) in try UpstreamFlag(text, namespace: namespace) }
    }
    try UpstreamFlag.checkDistinct(options.upstreams)
    options.listeners = try listeners.map { text in
      try prefixed("--listen") { () throws(FlagFailure) in try ListenFlag(text, namespace: namespace) }
    }
    options.workers = workers
    for server in dnsServers where SocketAddress(server, defaultPort: 53) == nil {
      throw FlagFailure("--dns-server \"\(server)\" is neither an IP address nor IP:PORT")
    }
    options.dnsServers = dnsServers
    options.accessLog = accessLog
    options.readyTimeout = try seconds("--ready-timeout", readyTimeout)
    options.drainDelay = try seconds("--drain-delay", drainDelay)
    options.drainTimeout = try seconds("--drain-timeout", drainTimeout)
    return options
  }

  /// `--zone` and `--region` are labels, too.
  private func allLabels() throws -> [String: String] {
    var all: [String: String] = [:]
    for text in labels {
      let label = try prefixed("--label") { () throws(FlagFailure) in try LabelFlag.parse(text) }
      all[label.key] = label.value
    }
    for (flag, key, value) in [("--zone", Locality.zoneLabel, zone), ("--region", Locality.regionLabel, region)] {
      guard let value else { continue }
      _ = try prefixed(flag) { () throws(FlagFailure) in try LabelFlag.parse("\(key)=\(value)") }
      guard !value.isEmpty, all[key] ?? value == value else {
        throw FlagFailure("\(flag) \"\(value)\": empty, or not what --label \(key) says")
      }
      all[key] = value
    }
    return all
  }

  private func seconds(_ flag: String, _ value: Double) throws -> TimeSpan {
    guard value.isFinite, (0...86_400).contains(value) else { throw FlagFailure("\(flag) takes 0 to 86400 seconds") }
    return .nanoseconds(Int64(value * 1e9))
  }

  private func prefixed<T>(_ flag: String, _ body: () throws(FlagFailure) -> T) throws -> T {
    do throws(FlagFailure) { return try body() } catch { throw FlagFailure("\(flag): \(error.description)") }
  }
}
