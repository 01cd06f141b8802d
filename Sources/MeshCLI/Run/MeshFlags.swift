package import MeshCore

/// A service port as people write it on the command line: `NAME[.NAMESPACE][:PORT]`.
package enum ServiceFlag {
  package static func parse(
    _ text: some StringProtocol, namespace: String, defaultPort: UInt16?
  ) throws(FlagFailure)
    -> ServicePort
  {
    var host = Substring(text)
    var port = defaultPort
    if let colon = host.lastIndex(of: ":") {
      let digits = host[host.index(after: colon)...]
      guard let number = UInt16(digits), number > 0, digits.first?.isNumber == true else {
        throw FlagFailure("\"\(digits)\" is not a port (1-65535)")
      }
      port = number
      host = host[..<colon]
    }
    guard let service = ServiceName(host: host, namespace: namespace, endpoints: .any) else {
      throw FlagFailure("\"\(host)\" is not a service name; write NAME or NAME.NAMESPACE, as orders or orders.shop")
    }
    guard let port else { throw FlagFailure("the service's port is missing; write \(host):80") }
    return ServicePort(service: service, port: port)
  }
}

/// What is wrong with one flag's value.
package struct FlagFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}

/// `--listen LOCAL=SERVICE:PORT`: a plain listener of the proxy that leads to one service.
package struct ListenFlag: Hashable, Sendable {
  /// Nil host: on the workload's own address, known only after registration.
  package var host: String?
  package var port: UInt16
  package var service: ServicePort

  package init(host: String?, port: UInt16, service: ServicePort) {
    self.host = host
    self.port = port
    self.service = service
  }

  /// Reads `8081=orders:80`, `127.0.0.1:8081=orders.shop:80` or `[::1]:8081=orders:80`.
  package init(_ text: String, namespace: String) throws(FlagFailure) {
    guard let equals = text.firstIndex(of: "=") else {
      throw FlagFailure("no \"=\" in \"\(text)\"; write LOCAL=SERVICE:PORT, as 127.0.0.1:8081=orders.shop:80")
    }
    let local = text[..<equals]
    if local.allSatisfy(\.isNumber), !local.isEmpty {
      guard let number = UInt16(local), number > 0 else { throw FlagFailure("\"\(local)\" is not a port (1-65535)") }
      host = nil
      port = number
    } else {
      guard let address = SocketAddress(local), address.port > 0 else {
        throw FlagFailure("\"\(local)\" is not an IP address and port; write 127.0.0.1:8081, or 8081 alone")
      }
      host = address.isIPv4 ? address.host : "[\(address.host)]"
      port = address.port
    }
    service = try ServiceFlag.parse(text[text.index(after: equals)...], namespace: namespace, defaultPort: nil)
  }

  /// The flag as the proxy reads it.
  package func argument(workloadAddress: String) -> String { "\(host ?? workloadAddress):\(port)=\(service)" }
}

/// `--upstream NAME[.NAMESPACE][:PORT]`: a service the program calls by a URL in its environment.
package struct UpstreamFlag: Hashable, Sendable {
  package var service: ServicePort

  package init(_ text: String, namespace: String) throws(FlagFailure) {
    service = try ServiceFlag.parse(text, namespace: namespace, defaultPort: 80)
  }

  /// `APUS_UPSTREAM_ORDERS_V1` for `orders-v1.shop:80`.
  package var variable: String {
    "APUS_UPSTREAM_" + service.service.name.uppercased().map { $0 == "-" ? "_" : $0 }
  }

  /// Refuses upstreams that would share a variable.
  package static func checkDistinct(_ upstreams: [UpstreamFlag]) throws(FlagFailure) {
    var seen: [String: ServicePort] = [:]
    for upstream in upstreams {
      if let other = seen.updateValue(upstream.service, forKey: upstream.variable) {
        throw FlagFailure(
          "\(other) and \(upstream.service) both become \(upstream.variable); map one with --listen LOCAL=SERVICE:PORT")
      }
    }
  }
}

/// `--label KEY=VALUE`, with Kubernetes' rules for both (labels and selectors, syntax and character set).
package enum LabelFlag {
  package static func parse(_ text: String) throws(FlagFailure) -> (key: String, value: String) {
    guard let equals = text.firstIndex(of: "=") else {
      throw FlagFailure("no \"=\" in \"\(text)\"; write KEY=VALUE, as version=v1")
    }
    let key = String(text[..<equals])
    let value = String(text[text.index(after: equals)...])
    let parts = key.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let name = parts.last, isName(name), !name.isEmpty,
      parts.count == 1 || isPrefix(parts[0])
    else { throw FlagFailure("\"\(key)\" is not a label key; use letters, digits, - _ . and one optional PREFIX/") }
    guard isName(value) else {
      throw FlagFailure("\"\(value)\" is not a label value; use at most 63 letters, digits, - _ .")
    }
    return (key, value)
  }

  private static func isName(_ text: some StringProtocol) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count <= 63 else { return false }
    guard let first = bytes.first, let last = bytes.last else { return true }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
  }

  private static func isPrefix(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.count <= 253
      && text.split(separator: ".", omittingEmptySubsequences: false)
        .allSatisfy { isName($0) && !$0.isEmpty }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
  }
}
