import MeshCore
import MeshPolicy
import MeshRuntime

extension WorkloadUpdate {
  /// What the controller says of the proxy's own workload, with where its application listens: on `applicationHost`, at the port of the same number.
  init(_ config: WorkloadConfig, applicationHost: SocketAddress) {
    name = config.name
    ports = config.ports.map { port in
      var application = applicationHost
      application.port = port.port
      let own = ServicePort(
        service: ServiceName(name: config.name, namespace: config.namespace), port: port.port)
      return InboundPortConfig(
        port: port.port, appProtocol: port.appProtocol, service: port.service ?? own, application: application,
        rateLimits: port.rateLimits, globalRateLimit: port.globalRateLimit, requestBody: port.requestBody,
        adaptiveConcurrency: port.adaptiveConcurrency, compression: port.compression,
        authorization: port.authorization, longestIdle: port.longestIdle, tokens: port.tokens,
        meshTLS: port.meshTLS)
    }
    locality = config.locality
    egress = config.egress
  }
}
