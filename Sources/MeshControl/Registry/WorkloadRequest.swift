package import MeshAPI
package import MeshCore
import SwiftProtobuf

/// A registration whose fields have been checked and completed.
package struct WorkloadRequest: Hashable, Sendable {
  package static let maximumPorts = 64
  package static let maximumLabels = 64

  package var service: String?
  package var namespace: String
  package var serviceAccount: String
  package var ports: [UInt16]
  package var labels: [String: String]
  package var processID: Int64
  /// Nil: the registry chooses.
  package var name: String?
  /// Of an earlier registration under `name`.
  package var claim: Claim?

  /// Proof that the caller holds what an earlier registration was given.
  package struct Claim: Hashable, Sendable {
    package var address: SocketAddress?
    package var token: WorkloadToken
  }

  package init(_ message: Apus_V1_WorkloadRegistration) throws(RegistryError) {
    namespace = message.namespace.isEmpty ? "default" : message.namespace
    serviceAccount = message.serviceAccount.isEmpty ? "default" : message.serviceAccount
    guard ServiceName.isLabel(namespace) else { throw .invalid("namespace \"\(namespace)\" is no DNS label") }
    guard ServiceName.isLabel(serviceAccount) else {
      throw .invalid("service account \"\(serviceAccount)\" is no DNS label")
    }
    guard message.service.isEmpty || ServiceName.isLabel(message.service) else {
      throw .invalid("service \"\(message.service)\" is no DNS label")
    }
    service = message.service.isEmpty ? nil : message.service
    guard message.name.isEmpty || ServiceName.isLabel(message.name) else {
      throw .invalid("workload name \"\(message.name)\" is no DNS label")
    }
    name = message.name.isEmpty ? nil : message.name

    guard message.ports.count <= Self.maximumPorts else {
      throw .invalid("\(message.ports.count) ports, at most \(Self.maximumPorts) are allowed")
    }
    ports = []
    for port in message.ports {
      guard let number = UInt16(exactly: port), number > 0 else { throw .invalid("\(port) is no port") }
      if !ports.contains(number) { ports.append(number) }
    }
    guard message.labels.count <= Self.maximumLabels,
      message.labels.allSatisfy({ (1...317).contains($0.key.utf8.count) && $0.value.utf8.count <= 63 })
    else {
      throw .invalid("labels: at most \(Self.maximumLabels), values of at most 63 bytes")
    }
    labels = message.labels
    processID = message.processID

    if !message.joinToken.isEmpty {
      guard name != nil else { throw .invalid("join_token without name") }
      let address = SocketAddress(message.address, defaultPort: 0)
      guard address != nil || message.address.isEmpty else {
        throw .invalid("\"\(message.address.prefix(64))\" is no IP address")
      }
      claim = Claim(address: address, token: WorkloadToken(text: message.joinToken))
    }
  }
}

/// Why a workload is not registered.
package enum RegistryError: Error, Hashable, Sendable, CustomStringConvertible {
  case invalid(String)
  /// A living workload has the name.
  case nameTaken(String)
  /// The claim to a name is not proved.
  case wrongToken(String)
  /// A claim to a name of which nothing is known.
  case unknownClaim(String)
  case unknownJoinToken(String)
  case addressesExhausted
  case tooManyWorkloads(Int)
  case storage(String)

  package var description: String {
    switch self {
    case .invalid(let reason): reason
    case .nameTaken(let name): "workload name \"\(name)\" is taken by a running workload; choose another --name"
    case .wrongToken(let name): "the join token is not the one of workload \"\(name)\""
    case .unknownClaim(let name):
      "this controller knows no workload \"\(name)\" (another state directory, or a new one?): restart the workload"
    case .unknownJoinToken(let id): "there is no join token \"\(id)\"; see apus identity token list"
    case .addressesExhausted: "no loopback address of 127.66.0.0/16 is free"
    case .tooManyWorkloads(let limit): "\(limit) workloads are registered, which is the limit"
    case .storage(let reason): reason
    }
  }
}
