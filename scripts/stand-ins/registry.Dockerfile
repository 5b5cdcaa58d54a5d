FROM stand-in-java
COPY app /app
CMD ["sh", "-c", "exec java -Xmx256m -Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=8080 -jar /app/*-runner.jar"]
