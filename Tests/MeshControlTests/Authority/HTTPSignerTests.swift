import Foundation
import MeshCore
import MeshIdentity
import NIOSSL
import Testing

@testable import MeshControl

/// What goes to a signer, and what is made of everything that may come back.
@Suite struct HTTPSignerTests {
  let scratch: StateScratch

  init() throws { scratch = try StateScratch() }

  private let order = SigningOrder(requestPEM: "CSR\n", trustDomain: "cluster.local", lifetimeSeconds: 7200)

  private func options(
    _ server: SignerServer, host: String = "127.0.0.1", path: String = "/mesh?tenant=7", scheme: String = "http"
  ) throws -> SignerOptions {
    SignerOptions(url: try SignerURL.parse("\(scheme)://\(host):\(server.port)\(path)").get())
  }

  private func tokenFile(_ content: String = "s3cret\n", mode: mode_t = 0o600) throws -> String {
    let path = scratch.path + "/token"
    try AtomicFile.write(content, to: path, mode: mode)
    return path
  }

  private func answer(_ status: String, _ body: String, _ fields: String = "") -> String {
    "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  private func failure(_ options: SignerOptions) async -> SignerError? {
    do {
      _ = try await HTTPSigner(options).sign(order)
      return nil
    } catch {
      return error as? SignerError
    }
  }

  // MARK: - Dialects

  @Test("the request goes as PKCS #10 with a bearer token, the chain comes back as it is")
  func pem() async throws {
    let server = try await SignerServer(answer("200 OK", "CHAIN"))
    var options = try options(server)
    options.tokenFile = try tokenFile()
    #expect(try await HTTPSigner(options).sign(order) == "CHAIN")
    let request = try #require(server.requests.first).lowercased()
    #expect(request.hasPrefix("post /mesh?tenant=7 http/1.1\r\nhost: 127.0.0.1:\(server.port)\r\n"))
    #expect(request.contains("\r\ncontent-type: application/pkcs10\r\n"))
    #expect(request.contains("\r\nauthorization: bearer s3cret\r\n"))
    #expect(request.contains("\r\napus-requested-lifetime: 7200\r\n"))
    #expect(request.hasSuffix("\r\n\r\ncsr\n"))
    #expect(HTTPSigner(options).name == "http://127.0.0.1:\(server.port)/mesh", "the query may be secret")
  }

  @Test("a token that was renewed is used from then on")
  func renewedToken() async throws {
    let server = try await SignerServer(answer("200 OK", "CHAIN"))
    var options = try options(server)
    options.tokenFile = try tokenFile("one")
    _ = try await HTTPSigner(options).sign(order)
    _ = try tokenFile("two")
    _ = try await HTTPSigner(options).sign(order)
    #expect(server.requests.map { $0.contains("Bearer two") || $0.contains("bearer two") } == [false, true])
  }

  @Test("Vault gets its JSON and token, and its chain is put together without repetitions")
  func vault() async throws {
    let body = #"{"data":{"certificate":"A\n","issuing_ca":"B","ca_chain":["A","B\n","C"],"serial_number":"1"}}"#
    let server = try await SignerServer(answer("200 OK", body))
    var options = try options(server, path: "/v1/pki/root/sign-intermediate")
    options.dialect = .vault
    options.tokenFile = try tokenFile()
    #expect(try await HTTPSigner(options).sign(order) == "A\nB\nC\n")
    let request = try #require(server.requests.first)
    #expect(request.contains("x-vault-token: s3cret\r\n"))
    let sent = try #require(request.components(separatedBy: "\r\n\r\n").last)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(sent.utf8)) as? [String: Any])
    #expect(
      json["csr"] as? String == "CSR\n" && json["ttl"] as? String == "7200s" && json["max_path_length"] as? Int == 0)
    #expect(json["common_name"] as? String == "Apus issuer of cluster.local" && json["format"] as? String == "pem")

    #expect(try SignerDialect.vault.chain(Array(#"{"data":{"certificate":"A","issuing_ca":"B"}}"#.utf8)) == "A\nB\n")
    for wrong in ["", "[]", "{}", #"{"data":null}"#, #"{"data":{"certificate":7}}"#, "<html>"] {
      #expect(throws: SignerError.self) { try SignerDialect.vault.chain(Array(wrong.utf8)) }
    }
    #expect(
      SignerDialect.vault.complaint(Array(#"{"errors":["permission denied","x"]}"#.utf8)) == "permission denied; x")
  }

  // MARK: - Refusals

  @Test(
    "each status means something, and the message says what to do",
    arguments: [
      (
        "401 Unauthorized", SignerError.Reason.refused,
        "does not accept our credentials (401): give --signer-token-file"
      ),
      ("403 Forbidden", .refused, "credentials (403)"), ("404 Not Found", .refused, "check --signer"),
      ("302 Found", .refused, "redirect (302), which is not followed"),
      ("400 Bad Request", .refused, "refuses the request (400)"),
      ("204 No Content", .refused, "(204)"), ("429 Too Many Requests", .unavailable, "cannot sign now (429)"),
      ("500 Internal Server Error", .unavailable, "(500)"), ("503 Service Unavailable", .unavailable, "(503)"),
    ])
  func statuses(status: String, reason: SignerError.Reason, text: String) async throws {
    let server = try await SignerServer(
      status.hasPrefix("204")
        ? "HTTP/1.1 \(status)\r\n\r\n"
        : answer(status, "the reason", "Location: http://127.0.0.1:1/\r\nRetry-After: 7\r\n"))
    let error = try #require(await failure(try options(server)))
    #expect(error.reason == reason && error.description.contains(text), "\(error)")
    #expect(error.retryAfter == (reason == .unavailable ? .seconds(7) : nil))
    if reason == .refused, status.first == "4" { #expect(error.description.hasSuffix("it says: the reason")) }
    #expect(server.requests.count == 1)
  }

  @Test(
    "a signer that repeats the token does not bring it into the message, nor control characters or a flood of words")
  func repeatedToken() async throws {
    let words = "\u{1B}[2Jno s3cret\r\nfor you " + String(repeating: "s3cret", count: 2000)
    let server = try await SignerServer(answer("403 Forbidden", words))
    var options = try options(server)
    options.tokenFile = try tokenFile()
    let text = try #require(await failure(options)).description
    #expect(text.contains("[2Jno [token] for you [token]") && !text.contains("s3cret"))
    #expect(text.utf8.allSatisfy { (0x20..<0x7F).contains($0) } && text.utf8.count < 700)
  }

  @Test(
    "an answer beyond the limits, or that is none, is refused",
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + String(repeating: "x", count: 70_000),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + String(repeating: "1000\r\n" + String(repeating: "x", count: 4096) + "\r\n", count: 20),
      "HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 200) + "\r\n",
      "HTTP/1.1 200 OK\r\na: " + String(repeating: "b", count: 20_000) + "\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ])
  func malformed(answer: String) async throws {
    let server = try await SignerServer(answer, closes: false)
    let error = try #require(await failure(try options(server)))
    #expect(error.reason == .malformed, "\(error)")
  }

  @Test(
    "an answer that is cut off is none",
    arguments: ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nCHAIN"])
  func cutOff(answer: String) async throws {
    let server = try await SignerServer(answer)
    let error = try #require(await failure(try options(server)))
    #expect(error.reason == .unreachable || error.reason == .malformed, "\(error)")
  }

  @Test(
    "a signer that stays silent, or never ends, costs the time allowed and no more",
    arguments: [nil, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nCH"])
  func silence(answer: String?) async throws {
    let server = try await SignerServer(answer, closes: false)
    let exchange = SignerExchange(
      url: try options(server).url, message: SignerDialect.pem.message(order, token: nil), tls: nil,
      timeout: .milliseconds(50))
    do {
      _ = try await exchange.perform()
      Issue.record("answered")
    } catch let error as SignerError {
      #expect(error.reason == .timeout)
    }
  }

  @Test("a controller that ends does not wait for the signer")
  func cancellation() async throws {
    let server = try await SignerServer(nil, closes: false)
    let options = try options(server)
    let task = Task { try await HTTPSigner(options).sign(order) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test("nobody listening is said as such")
  func unreachable() async throws {
    let server = try await SignerServer("")
    let options = try options(server)
    try await server.close()
    let error = try #require(await failure(options))
    #expect(error.reason == .unreachable, "\(error)")
  }

  // MARK: - TLS

  /// A TLS server for "localhost", and the PEM of who signed its certificate.
  private func authority(_ name: String) throws -> (context: NIOSSLContext, caFile: String) {
    let store = AuthorityStore(directory: scratch.path + "/" + name)
    let authority = try store.authority(of: store.loadOrCreate(now: Date()))
    let identity = SPIFFEID(trustDomain: "cluster.local", namespace: "a", serviceAccount: "b")
    let (certificate, key) = try authority.issueServer(
      identity: identity, dnsNames: ["localhost"], lifetime: 600, now: Date())
    let configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.chainPEM.utf8)).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)))
    let file = scratch.path + "/\(name).pem"
    try AtomicFile.write(authority.trustBundlePEM, to: file)
    return (try NIOSSLContext(configuration: configuration), file)
  }

  @Test("the signer must prove its name by the authority that was given; otherwise it is sent nothing")
  func tls() async throws {
    let (context, caFile) = try authority("one")
    let (_, otherFile) = try authority("two")
    let server = try await SignerServer(answer("200 OK", "CHAIN"), tls: context)
    var options = try options(server, host: "localhost", scheme: "https")
    options.authorityFile = otherFile
    #expect(await failure(options)?.reason == .untrusted)
    options.authorityFile = nil
    #expect(await failure(options)?.reason == .untrusted, "the system does not know it")
    var byAddress = try self.options(server, scheme: "https")
    byAddress.authorityFile = caFile
    #expect(await failure(byAddress)?.reason == .untrusted, "its certificate has no address")
    #expect(server.requests.isEmpty)
    options.authorityFile = caFile
    #expect(try await HTTPSigner(options).sign(order) == "CHAIN")
  }

  @Test("TLS to a server without it fails in words")
  func plaintextServer() async throws {
    let server = try await SignerServer("HTTP/1.1 400 Bad Request\r\n\r\n", waits: false)
    let error = try #require(await failure(try options(server, scheme: "https")))
    #expect(error.reason == .unreachable && error.description.contains("no TLS"), "\(error)")
  }

  // MARK: - Configuration

  @Test("files that cannot be used are named with their flags")
  func files() async throws {
    let server = try await SignerServer(answer("200 OK", "CHAIN"))
    var options = try options(server)
    for (content, mode, text) in [
      ("", 0o600, "does not hold one token"), ("two words", 0o600, "does not hold one token"),
      ("line\nline", 0o600, "does not hold one token"), ("s3cret", 0o604, "everybody on this machine can read"),
      (String(repeating: "x", count: 9000), 0o600, "at most 8192"),
    ] {
      options.tokenFile = try tokenFile(content, mode: mode_t(mode))
      let error = try #require(await failure(options))
      #expect(error.reason == .configuration && error.description.contains(text), "\(error)")
    }
    options.tokenFile = scratch.path + "/none"
    #expect(await failure(options)?.description.contains("is not there") == true)
    #expect(server.requests.isEmpty)
    #expect(throws: SignerError.self) { try SignerFiles.roots(scratch.path + "/token") }
    options.tokenFile = try tokenFile("  s3cret \n", mode: 0o640)
    _ = try await HTTPSigner(options).sign(order)
  }

  @Test("an address is https, or http to this machine, and has no password")
  func addresses() throws {
    for (text, name) in [
      ("https://signer.example.com", "https://signer.example.com/"),
      (
        "https://signer.example.com:8443/v1/pki/root/sign-intermediate?x=1",
        "https://signer.example.com:8443/v1/pki/root/sign-intermediate"
      ),
      ("http://127.0.0.9:80/a", "http://127.0.0.9/a"), ("http://localhost:8080/", "http://localhost:8080/"),
      ("https://[::1]:8200/", "https://[::1]:8200/"), ("http://[::1]/", "http://[::1]/"),
    ] {
      #expect(try SignerURL.parse(text).get().description == name)
    }
    #expect(try SignerURL.parse("https://a/b?c=d").get().target == "/b?c=d")
    for wrong in [
      "", "signer.example.com", "ftp://a/", "https://", "http://signer.example.com/", "http://10.0.0.1/",
      "https://u:p@a/",
      "https://a/#b", "https://a b/", "https://a:0/", "https://a:70000/", "http://127.0.0.1.example.com/",
    ] {
      #expect(throws: ControlPlaneError.self, "\(wrong)") { try SignerURL.parse(wrong).get() }
    }
  }
}
