import Crypto
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshControl
import MeshControlAPI
import MeshCore
import SwiftASN1
import SwiftProtobuf
import Synchronization
import Testing
import X509

/// The composed control plane, spoken to over its two sockets.
@Suite(.timeLimit(.minutes(1))) struct ControlPlaneTests {
  let scratch: StateScratch
  let options: ControlPlane.Options

  init() throws {
    scratch = try StateScratch()
    let manifests = scratch.path + "/manifests"
    try FileManager.default.createDirectory(atPath: manifests, withIntermediateDirectories: true)
    var options = ControlPlane.Options(manifestDirectory: manifests, stateDirectory: scratch.path + "/state")
    options.listenAddress = MeshCore.SocketAddress(ipv4: 0x7F42_0001, port: UInt16.random(in: 20_000...30_000))
    options.metricsPort = options.listenAddress.port + 20_000
    options.isAddressFree = { _ in true }
    self.options = options
  }

  /// Cancels the control plane after `body`, unless `stop` has ended it.
  private func withControlPlane(
    stop: ShutdownSignals = ShutdownSignals(numbers: []), _ body: @Sendable @escaping () async throws -> Void
  ) async throws {
    let (started, start) = AsyncStream<Void>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { start.finish() }
        try await ControlPlane(options: options, log: quietLog).run(until: stop) { start.yield() }
      }
      for await _ in started { break }
      do {
        try await body()
      } catch {
        group.cancelAll()
        throw error
      }
      group.cancelAll()
      try? await group.waitForAll()
    }
  }

  private func withAdmin<Value: Sendable>(
    _ body: @Sendable (Apus_V1_Admin.Client<HTTP2ClientTransport.Posix>) async throws -> Value
  ) async throws -> Value {
    try await withGRPCClient(
      transport: .http2NIOPosix(
        target: .unixDomainSocket(path: options.stateDirectory + "/control.sock"), transportSecurity: .plaintext)
    ) { try await body(Apus_V1_Admin.Client(wrapping: $0)) }
  }

  private func withProxyClient<Value: Sendable>(
    anchors: String, _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
  ) async throws -> Value {
    try await withGRPCClient(
      transport: .http2NIOPosix(
        target: .ipv4(address: options.listenAddress.host, port: Int(options.listenAddress.port)),
        transportSecurity: .tls { tls in
          tls.trustRoots = .certificates([.bytes(Array(anchors.utf8), format: .pem)])
          tls.serverCertificateVerification = .noHostnameVerification
        }), handleClient: body)
  }

  /// Registers `service`, then runs `body` while the lease lives.
  private func withWorkload(
    _ service: String, holding: Bool = false,
    _ body: @Sendable @escaping (Apus_V1_RegisterResponse) async throws -> Void
  ) async throws {
    try await withAdmin { admin in
      let (ended, end) = AsyncStream<Void>.makeStream()
      try await admin.register { writer in
        try await writer.write(
          .with {
            $0.register.service = service
            $0.register.namespace = "shop"
            $0.register.serviceAccount = service
            $0.register.ports = [8080]
            $0.register.processID = Int64(getpid())
          })
        try await writer.write(.with { $0.heartbeat.ready = true })
        for await _ in ended {}
      } onResponse: { response in
        defer { end.finish() }
        for try await grant in response.messages {
          try await body(grant)
          if !holding { return }
        }
      }
    }
  }

  private func bearer(_ token: String) -> Metadata { ["authorization": "Bearer \(token)"] }

  private static let request: Result<String, any Error> = Result {
    let name = "spiffe://cluster.local/ns/shop/sa/orders"
    let request = try CertificateSigningRequest(
      version: .v1, subject: DistinguishedName(),
      privateKey: Certificate.PrivateKey(P256.Signing.PrivateKey()),
      attributes: CertificateSigningRequest.Attributes([
        CertificateSigningRequest.Attribute(
          ExtensionRequest(
            extensions: Certificate.Extensions { SubjectAlternativeNames([.uniformResourceIdentifier(name)]) }))
      ]))
    return try request.serializeAsPEM().pemString
  }

  @Test("a registered workload gets its configuration and certificate over TLS, and shows in the status")
  func wholePath() async throws {
    try await withControlPlane {
      try await withWorkload("orders") { grant in
        #expect(grant.address == "127.66.0.2")
        #expect(grant.controller == options.listenAddress.description)
        let version = try await withProxyClient(anchors: grant.trustAnchorsPem) { client in
          let pem = try Self.request.get()
          let certificate = try await Apus_V1_Identity.Client(wrapping: client).certify(
            .with { $0.csrPem = pem }, metadata: bearer(grant.joinToken))
          #expect(certificate.notAfter > certificate.notBefore)
          let chain = try PEMDocument.parseMultiple(pemString: certificate.certificateChainPem)
            .map { try Certificate(pemDocument: $0) }
          #expect(chain.count == 2, "the leaf, and the issuer that peers do not have")
          #expect(chain[0].subject.isEmpty && chain[0].issuer == chain[1].subject)
          #expect(!certificate.serial.isEmpty && !certificate.signer.isEmpty)

          return try await discover(client, grant)
        }
        let status = try await withAdmin { try await $0.status(Apus_V1_StatusRequest()) }
        let workload = try #require(status.workloads.first)
        #expect(workload.name == grant.workload)
        #expect(workload.ackedVersion == version)
        #expect(workload.certificateNotAfter > 0)
      }
    }
  }

  /// The version that the proxy had its workload with, after the controller read that it was acknowledged.
  private func discover(
    _ client: GRPCClient<HTTP2ClientTransport.Posix>, _ grant: Apus_V1_RegisterResponse
  ) async throws -> UInt64 {
    let (acks, ack) = AsyncStream<UInt64>.makeStream()
    return try await Apus_V1_Discovery.Client(wrapping: client).stream(metadata: bearer(grant.joinToken)) { writer in
      try await writer.write(.with { $0.hello.proxyID = grant.workload })
      for await version in acks {
        try await writer.write(.with { $0.ack.version = version })
        // Answered with an empty delta, after the acknowledgement was read.
        try await writer.write(.with { $0.subscribe = .init() })
      }
    } onResponse: { response in
      defer { ack.finish() }
      var kinds: [Apus_V1_ResourceKind] = []
      var complete: UInt64 = 0
      for try await delta in response.messages {
        if complete > 0 { break }
        // The workload comes a moment after the trust bundle when the proxy is faster than the compiler.
        kinds += delta.resources.map(\.name.kind)
        guard kinds.contains(.workload) else { continue }
        complete = delta.version
        ack.yield(complete)
      }
      #expect(kinds == [.trust, .workload])
      return complete
    }
  }

  @Test("a call without a good token is unauthenticated, with a hint")
  func unauthenticated() async throws {
    try await withControlPlane {
      let anchors = try String(contentsOfFile: options.stateDirectory + "/trust-anchors.pem", encoding: .utf8)
      try await withProxyClient(anchors: anchors) { client in
        for metadata in [Metadata(), bearer("guess"), ["authorization": "Basic x"]] as [Metadata] {
          let error = await #expect(throws: RPCError.self) {
            try await Apus_V1_Identity.Client(wrapping: client).certify(.init(), metadata: metadata)
          }
          #expect(error?.code == .unauthenticated)
          #expect(error?.message.contains("apus run") == true)
        }
      }
    }
  }

  @Test("a workload leaves with its stream")
  func leaving() async throws {
    try await withControlPlane {
      let token = Mutex("")
      try await withWorkload("orders") { grant in token.withLock { $0 = grant.joinToken } }
      while try await withAdmin({ try await $0.status(Apus_V1_StatusRequest()) }).workloads.count > 0 {
        await Task.yield()
      }
      #expect(token.withLock { $0.isEmpty } == false)
    }
  }

  @Test("asked to stop, it ends the open streams and returns")
  func stopping() async throws {
    let stop = ShutdownSignals(numbers: [])
    try await withThrowingTaskGroup(of: Void.self) { group in
      let (started, start) = AsyncStream<Void>.makeStream()
      group.addTask { try await ControlPlane(options: options, log: quietLog).run(until: stop) { start.yield() } }
      for await _ in started { break }
      await #expect(throws: RPCError.self) {
        try await withWorkload("orders", holding: true) { _ in stop.raise() }
      }
      // Returns without being cancelled; the suite's time limit says otherwise.
      try await group.waitForAll()
    }
    #expect(!FileManager.default.fileExists(atPath: options.stateDirectory + "/control.sock"))
  }

  @Test("after a stop the next controller serves the workloads' proxies before they register again")
  func restart() async throws {
    let stop = ShutdownSignals(numbers: [])
    let grant = Mutex(Apus_V1_RegisterResponse())
    try await withControlPlane(stop: stop) {
      await #expect(throws: RPCError.self) {
        try await withWorkload("orders", holding: true) { given in
          grant.withLock { $0 = given }
          // The heartbeat is sent; the next controller must know of it.
          while try await withAdmin({ try await $0.status(.init()) }).workloads.first?.ready != true {
            await Task.yield()
          }
          stop.raise()
        }
      }
    }
    let old = grant.withLock { $0 }
    try await withControlPlane {
      let status = try await withAdmin { try await $0.status(Apus_V1_StatusRequest()) }
      #expect(status.workloads.map(\.name) == [old.workload])
      #expect(status.workloads.map(\.ready) == [true])
      try await withProxyClient(anchors: old.trustAnchorsPem) { client in
        let pem = try Self.request.get()
        let certificate = try await Apus_V1_Identity.Client(wrapping: client).certify(
          .with { $0.csrPem = pem }, metadata: bearer(old.joinToken))
        #expect(certificate.notAfter > certificate.notBefore)
        _ = try await discover(client, old)
      }
    }
  }

  @Test("a second controller of the same state, or of the same address, says so and leaves the first alone")
  func secondController() async throws {
    try await withControlPlane {
      let same = await #expect(throws: ControlPlaneError.self) {
        try await ControlPlane(options: options, log: quietLog).run(until: ShutdownSignals(numbers: []))
      }
      #expect(same?.description.contains("another controller uses this state") == true)
      var other = options
      other.stateDirectory = scratch.path + "/other"
      let elsewhere = other
      let taken = await #expect(throws: ControlPlaneError.self) {
        try await ControlPlane(options: elsewhere, log: quietLog).run(until: ShutdownSignals(numbers: []))
      }
      #expect(taken?.description.contains("is in use") == true)
      let status = try await withAdmin { try await $0.status(Apus_V1_StatusRequest()) }
      #expect(status.trustDomain == "cluster.local")
    }
  }

  @Test("the socket and the key are the owner's alone, and a dead controller's socket is replaced")
  func files() async throws {
    for _ in 0..<2 {
      try await withControlPlane {
        for (file, mode) in [("control.sock", 0o600), ("ca/root.key.pem", 0o600), ("trust-anchors.pem", 0o644)] {
          let attributes = try FileManager.default.attributesOfItem(atPath: options.stateDirectory + "/" + file)
          #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == mode, "\(file)")
        }
      }
      // What a killed controller leaves behind.
      close(try ListeningSocket.unix(options.stateDirectory + "/control.sock"))
      #expect(FileManager.default.fileExists(atPath: options.stateDirectory + "/control.sock"))
    }
  }

  @Test("a manifest directory that is none stops the start with advice")
  func noManifests() async throws {
    var other = options
    other.manifestDirectory = scratch.path + "/nowhere"
    let broken = other
    let error = await #expect(throws: ControlPlaneError.self) {
      try await ControlPlane(options: broken, log: quietLog).run(until: ShutdownSignals(numbers: []))
    }
    #expect(error?.description.contains("is not a directory: make it") == true)
  }
}
